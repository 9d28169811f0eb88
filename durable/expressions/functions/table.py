"""The domains of pipe functions: a row here makes a domain known to `{@domain.function}`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from durable.expressions.functions import (
    array_,
    conditional,
    logical,
    math_,
    number_,
    object_,
    string_,
)
from durable.expressions.functions.arguments import Function

DOMAINS: Final[Mapping[str, Mapping[str, Function]]] = MappingProxyType(
    {
        "array": array_.FUNCTIONS,
        "conditional": conditional.FUNCTIONS,
        "logical": logical.FUNCTIONS,
        "math": math_.FUNCTIONS,
        "number": number_.FUNCTIONS,
        "object": object_.FUNCTIONS,
        "string": string_.FUNCTIONS,
    }
)
