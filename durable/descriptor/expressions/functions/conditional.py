"""`@conditional`: choices and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from durable.descriptor.expressions.comparison import less, loose_equal, strict_equal
from durable.descriptor.expressions.functions.arguments import Arguments, Function
from durable.descriptor.expressions.values import is_nullish, truthy


def greater_than(args: Arguments) -> bool:
    """`a > b`."""
    return less(args[1], args[0]) is True


def less_than(args: Arguments) -> bool:
    """`a < b`."""
    return less(args[0], args[1]) is True


def greater_than_or_equal(args: Arguments) -> bool:
    """`a >= b`; false when one is not a number."""
    return less(args[0], args[1]) is False


def less_than_or_equal(args: Arguments) -> bool:
    """`a <= b`; false when one is not a number."""
    return less(args[1], args[0]) is False


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "ternary": lambda args: args[1] if truthy(args[0]) else args[2],
        "equality": lambda args: loose_equal(args[0], args[1]),
        "strict_equality": lambda args: strict_equal(args[0], args[1]),
        "inequality": lambda args: not loose_equal(args[0], args[1]),
        "strict_inequality": lambda args: not strict_equal(args[0], args[1]),
        "greater_than": greater_than,
        "less_than": less_than,
        "greater_than_or_equal": greater_than_or_equal,
        "less_than_or_equal": less_than_or_equal,
        "nullish": lambda args: args[1] if is_nullish(args[0]) else args[0],
    }
)
