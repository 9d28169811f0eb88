"""JavaScript's operators: `@logical`, `@unary`, and `@bitwise` on the low 32 bits of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from durable.descriptor.expressions.functions.arguments import Arguments, Function
from durable.descriptor.expressions.values import UNDEFINED, number, to_int32, to_uint32, truthy

_FIVE_BITS = 31  # JavaScript counts shifts modulo 32


def _until(decides: bool) -> Function:  # noqa: FBT001 - the truth of the value that decides
    """`and` or `or`: as in JavaScript the deciding value itself is the result."""

    def choose(args: Arguments) -> object:
        last: object = UNDEFINED
        for last in args.values:
            if truthy(last) is decides:
                break
        return last

    return choose


def _distance(args: Arguments) -> int:
    return to_uint32(args[1]) & _FIVE_BITS


LOGICAL: Final[Mapping[str, Function]] = MappingProxyType(
    {"and": _until(decides=False), "or": _until(decides=True)}
)
BITWISE: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "and": lambda args: to_int32(args[0]) & to_int32(args[1]),
        "or": lambda args: to_int32(args[0]) | to_int32(args[1]),
        "xor": lambda args: to_int32(args[0]) ^ to_int32(args[1]),
        "leftShift": lambda args: to_int32(to_int32(args[0]) << _distance(args)),
        "rightShift": lambda args: to_int32(args[0]) >> _distance(args),
        "unsignedRightShift": lambda args: to_uint32(args[0]) >> _distance(args),
    }
)
UNARY: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "not": lambda args: not truthy(args[0]),
        # HotMesh documents that -42 becomes 42; JavaScript's `+` is less.
        "positive": lambda args: number(abs(args.number(0))),
        "negative": lambda args: number(-args.number(0)),
        "bitwise_not": lambda args: ~to_int32(args[0]),
    }
)
