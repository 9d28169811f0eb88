"""`@unary`: functions of one value."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from durable.descriptor.expressions.functions.arguments import Function
from durable.descriptor.expressions.values import number, to_int32, truthy

FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "not": lambda args: not truthy(args[0]),
        # The ancestor's documentation promises that -42 becomes 42; JavaScript's `+` is less.
        "positive": lambda args: number(abs(args.number(0))),
        "negative": lambda args: number(-args.number(0)),
        "bitwise_not": lambda args: ~to_int32(args[0]),
    }
)
