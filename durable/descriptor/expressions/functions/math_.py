"""`@math`: arithmetic over numbers and arrays of numbers, and JavaScript's `Math`."""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from types import MappingProxyType
from typing import Final

from durable.descriptor.expressions.functions.arguments import Arguments, Function, Refusal
from durable.descriptor.expressions.values import (
    check_items,
    number,
    to_int32,
    to_number,
    to_uint32,
)


def _flat(values: tuple[object, ...]) -> Iterator[float]:
    """The numbers in their order, also of arrays in arrays."""
    count, ahead = 0, [iter(values)]
    while ahead:
        for value in ahead[-1]:
            count += 1
            check_items(count)
            if isinstance(value, (list, tuple)):
                ahead.append(iter(value))
                break
            yield to_number(value)
        else:
            ahead.pop()


def _operands(args: Arguments) -> list[float]:
    operands = list(_flat(args.values))
    if not operands:
        raise Refusal("it needs at least one number")
    return operands


def add(args: Arguments) -> float:
    """The sum of all numbers, also of those in arrays; 0 for none."""
    return number(reduce(operator.add, _flat(args.values), 0.0))


def subtract(args: Arguments) -> float:
    """The first number less all others."""
    return number(reduce(operator.sub, _operands(args)))


def multiply(args: Arguments) -> float:
    """The product of all numbers."""
    return number(reduce(operator.mul, _operands(args)))


def divide(args: Arguments) -> float:
    """The first number divided by each of the others in turn; NaN when one of them is 0."""
    first, *others = _operands(args)
    if 0 in others:
        return math.nan
    return number(reduce(operator.truediv, others, first))


def maximum(args: Arguments) -> float:
    """The largest; minus infinity for none, NaN when one is NaN."""
    values = [to_number(value) for value in args.values]
    if any(map(math.isnan, values)):
        return math.nan
    return number(max(values, key=_with_sign, default=-math.inf))


def minimum(args: Arguments) -> float:
    """The smallest; infinity for none, NaN when one is NaN."""
    values = [to_number(value) for value in args.values]
    if any(map(math.isnan, values)):
        return math.nan
    return number(min(values, key=_with_sign, default=math.inf))


def _with_sign(value: float) -> tuple[float, float]:
    """Of two zeros the positive one is the larger."""
    return value, math.copysign(1, value)


def power(args: Arguments) -> float:
    """`a ** b` on doubles: too large is infinity, and what has no real answer is NaN."""
    base, exponent = args.number(0), args.number(1)
    if math.isnan(exponent) or (abs(base) == 1 and math.isinf(exponent)):
        return math.nan
    odd = exponent % 2 == 1 if math.isfinite(exponent) else False
    sign = -1.0 if odd and math.copysign(1, base) < 0 else 1.0
    if base == 0 and exponent < 0:
        return sign * math.inf
    try:
        return number(math.pow(base, exponent))
    except OverflowError:
        return sign * math.inf
    except ValueError:
        return math.nan


def round_half_up(args: Arguments) -> float:
    """The nearest whole number; a half goes up, so that -2.5 becomes -2."""
    value = args.number(0)
    if not math.isfinite(value) or value == 0:
        return number(value)
    whole = math.floor(value)
    return _whole(whole + 1 if value - whole >= 0.5 else whole, value)  # noqa: PLR2004 - a half


def _whole(result: float, origin: float) -> float:
    """Keep JavaScript's minus zero: what was negative and became 0 is -0."""
    return number(math.copysign(float(result), origin) if result == 0 else float(result))


def _rounding(function: Callable[[float], int]) -> Function:
    def apply(args: Arguments) -> float:
        value = args.number(0)
        return _whole(function(value), value) if math.isfinite(value) else value

    return apply


def _real(
    function: Callable[[float], float], poles: Mapping[float, float] | None = None
) -> Function:
    """A function of one number: NaN outside its domain, infinity on overflow and at its poles."""
    infinite_at = poles or {}

    def apply(args: Arguments) -> float:
        value = args.number(0)
        if value in infinite_at:
            return infinite_at[value]
        try:
            return number(function(value))
        except ValueError:
            return math.nan
        except OverflowError:
            return function(math.copysign(math.inf, value))

    return apply


def _sign(value: float) -> float:
    return value if value == 0 or math.isnan(value) else math.copysign(1, value)


def _single(value: float) -> float:
    """The nearest number of single precision."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def _cube_root(value: float) -> float:
    """Exact for cubes of whole numbers, which not every C library promises."""
    root = math.cbrt(value)
    nearest = float(round(root)) if math.isfinite(root) else root
    return nearest if nearest and nearest**3 == value else root


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "add": add,
        "subtract": subtract,
        "multiply": multiply,
        "divide": divide,
        "abs": _real(abs),
        "acos": _real(math.acos),
        "acosh": _real(math.acosh),
        "asin": _real(math.asin),
        "asinh": _real(math.asinh),
        "atan": _real(math.atan),
        "atan2": lambda args: number(math.atan2(args.number(0), args.number(1))),
        "atanh": _real(math.atanh, {1.0: math.inf, -1.0: -math.inf}),
        "cbrt": _real(_cube_root),
        "ceil": _rounding(math.ceil),
        "clz32": lambda args: 32 - to_uint32(args[0]).bit_length(),
        "cos": _real(math.cos),
        "cosh": _real(math.cosh),
        "exp": _real(math.exp),
        "expm1": _real(math.expm1),
        "floor": _rounding(math.floor),
        "fround": _real(_single),
        "hypot": lambda args: number(math.hypot(*(to_number(value) for value in args.values))),
        "imul": lambda args: to_int32(float((to_int32(args[0]) * to_int32(args[1])) % 2**32)),
        "log": _real(math.log, {0.0: -math.inf}),
        "log10": _real(math.log10, {0.0: -math.inf}),
        "log1p": _real(math.log1p, {-1.0: -math.inf}),
        "log2": _real(math.log2, {0.0: -math.inf}),
        "max": maximum,
        "min": minimum,
        "pow": power,
        "random": lambda args: args.context.random(),
        "round": round_half_up,
        "sign": _real(_sign),
        "sin": _real(math.sin),
        "sinh": _real(math.sinh),
        "sqrt": _real(math.sqrt),
        "tan": _real(math.tan),
        "tanh": _real(math.tanh),
        "trunc": _rounding(math.trunc),
    }
)
