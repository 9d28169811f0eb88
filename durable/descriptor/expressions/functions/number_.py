"""`@number`: tests on numbers, parsing, and the formats of JavaScript's `Number`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from types import MappingProxyType
from typing import Final

from durable.descriptor.expressions.functions.arguments import Arguments, Function, Refusal
from durable.descriptor.expressions.functions.conditional import (
    greater_than,
    greater_than_or_equal,
    less_than,
    less_than_or_equal,
)
from durable.descriptor.expressions.functions.math_ import maximum, minimum, power, round_half_up
from durable.descriptor.expressions.numerals import (
    exponent_text,
    number_text,
    parse_float,
    parse_int,
    shortest_digits,
)
from durable.descriptor.expressions.values import is_number, number, to_int32, to_number

_MOST_DIGITS = 100  # of toFixed, toExponential and toPrecision
_FIXED_BELOW = 1e21  # from here on toFixed writes an exponent
_PRECISE: Final = Context(prec=1100, rounding=ROUND_HALF_UP)  # any double, exactly


def _remainder(value: object) -> float | None:
    """The remainder by 2 of a whole number, else None."""
    converted = to_number(value)
    return abs(converted) % 2 if math.isfinite(converted) and converted.is_integer() else None


def _digits(args: Arguments, least: int) -> int:
    digits = args.integer(1)
    if not least <= digits <= _MOST_DIGITS:
        raise Refusal(f"its number of digits is from {least} to {_MOST_DIGITS}")
    return int(digits)


def _formatter(write: Callable[[float, Arguments], str]) -> Function:
    def apply(args: Arguments) -> str:
        value = args.own_number()
        return write(value, args) if math.isfinite(value) else number_text(value)

    return apply


def _to_fixed(args: Arguments) -> str:
    value, digits = args.own_number(), _digits(args, 0)
    if not abs(value) < _FIXED_BELOW:  # NaN too
        return number_text(value)
    # Decimal(value) is the double's exact value: 1.005 lies below the half and becomes 1.00.
    exact = Decimal(abs(value)).quantize(Decimal(1).scaleb(-digits), context=_PRECISE)
    return f"{'-' if value < 0 else ''}{exact:f}"


def _to_exponential(value: float, args: Arguments) -> str:
    digits = _digits(args, 0) if args.given(1) else None
    if value == 0:
        return exponent_text("0" * (1 + (digits or 0)), 0)
    if digits is None:
        sign, text, point = shortest_digits(value)
        return sign + exponent_text(text, point - 1)
    text, exponent = _rounded(value, digits + 1)
    return ("-" if value < 0 else "") + exponent_text(text, exponent)


def _to_precision(value: float, args: Arguments) -> str:
    if not args.given(1):
        return number_text(value)
    precision = _digits(args, 1)
    if value == 0:
        return "0" if precision == 1 else "0." + "0" * (precision - 1)
    sign = "-" if value < 0 else ""
    digits, exponent = _rounded(value, precision)
    if exponent < -6 or exponent >= precision:  # noqa: PLR2004 - where JavaScript changes the form
        return sign + exponent_text(digits, exponent)
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole, fraction = digits[: exponent + 1], digits[exponent + 1 :]
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole


def _rounded(value: float, precision: int) -> tuple[str, int]:
    """So many digits of the exact value, a half rounded away from zero, and the exponent."""
    context = Context(prec=precision, rounding=ROUND_HALF_UP)
    rounded = context.create_decimal(Decimal(abs(value)))
    digits = "".join(map(str, rounded.as_tuple().digits))
    return digits.ljust(precision, "0"), rounded.adjusted()


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "isFinite": lambda args: is_number(args[0]) and math.isfinite(to_number(args[0])),
        "isEven": lambda args: _remainder(args[0]) == 0,
        "isOdd": lambda args: _remainder(args[0]) == 1,
        "isInteger": lambda args: is_number(args[0]) and to_number(args[0]).is_integer(),
        "isNaN": lambda args: math.isnan(args.number(0)),
        "parseFloat": lambda args: number(parse_float(args.text(0))),
        "parseInt": lambda args: number(parse_int(args.text(0), to_int32(args[1]))),
        "toFixed": _to_fixed,
        "toExponential": _formatter(_to_exponential),
        "toPrecision": _formatter(_to_precision),
        "gte": greater_than_or_equal,
        "lte": less_than_or_equal,
        "gt": greater_than,
        "lt": less_than,
        "max": maximum,
        "min": minimum,
        "pow": power,
        "round": round_half_up,
    }
)
