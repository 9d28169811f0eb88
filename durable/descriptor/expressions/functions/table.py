"""The domains of pipe functions: a row here makes a domain known to `{@domain.function}`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from durable.descriptor.expressions.functions import (
    array_,
    conditional,
    cron,
    date,
    json_,
    math_,
    number_,
    object_,
    operators,
    string_,
    symbol,
)
from durable.descriptor.expressions.functions.arguments import Function

DOMAINS: Final[Mapping[str, Mapping[str, Function]]] = MappingProxyType(
    {
        "array": array_.FUNCTIONS,
        "bitwise": operators.BITWISE,
        "conditional": conditional.FUNCTIONS,
        "cron": cron.FUNCTIONS,
        "date": date.FUNCTIONS,
        "json": json_.FUNCTIONS,
        "logical": operators.LOGICAL,
        "math": math_.FUNCTIONS,
        "number": number_.FUNCTIONS,
        "object": object_.FUNCTIONS,
        "string": string_.FUNCTIONS,
        "symbol": symbol.FUNCTIONS,
        "unary": operators.UNARY,
    }
)

UNAVAILABLE: Final[Mapping[str, str]] = MappingProxyType(
    {"cron": cron.MISSING} if cron.MISSING else {}
)
"""Domains that cannot work as durable is installed here, and what to do about it."""
