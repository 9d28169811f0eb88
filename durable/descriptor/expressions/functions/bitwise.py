"""`@bitwise`: JavaScript's operators on the low 32 bits of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from durable.descriptor.expressions.functions.arguments import Arguments, Function
from durable.descriptor.expressions.values import to_int32, to_uint32

_FIVE_BITS = 31  # JavaScript counts shifts modulo 32


def _distance(args: Arguments) -> int:
    return to_uint32(args[1]) & _FIVE_BITS


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "and": lambda args: to_int32(args[0]) & to_int32(args[1]),
        "or": lambda args: to_int32(args[0]) | to_int32(args[1]),
        "xor": lambda args: to_int32(args[0]) ^ to_int32(args[1]),
        "leftShift": lambda args: to_int32(to_int32(args[0]) << _distance(args)),
        "rightShift": lambda args: to_int32(args[0]) >> _distance(args),
        "unsignedRightShift": lambda args: to_uint32(args[0]) >> _distance(args),
    }
)
