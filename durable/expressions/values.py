"""JavaScript's view of JSON values: undefined, truth, and the conversions to number and text.

JSON values are Python's None, bool, int, float, str, list and dict; `UNDEFINED` stands beside them
for what is not there at all. Arithmetic is done on doubles; results that are whole come back
as `int`, so that 4 / 2 is written down as 2.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Final

from durable.expressions.moment import Moment, full_text
from durable.expressions.numerals import number_text, parse_number

_EXACT = 2**53  # up to here every whole double is the integer it looks like


class Undefined(Enum):
    """The type of `UNDEFINED`; an enumeration so that it is one value, also after copying."""

    UNDEFINED = "undefined"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = Undefined.UNDEFINED


def is_nullish(value: object) -> bool:
    """Whether the value is null or undefined."""
    return value is None or value is UNDEFINED


def is_number(value: object) -> bool:
    """Whether JavaScript's `typeof` would say "number"; booleans are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def truthy(value: object) -> bool:
    """JavaScript's truth: empty arrays and objects are true, NaN is false.

    Example:
        >>> truthy([]), truthy(""), truthy(float("nan")), truthy("0")
        (True, False, False, True)
    """
    if isinstance(value, (list, tuple, dict)):
        return True
    if isinstance(value, float):
        return value != 0 and not math.isnan(value)
    return bool(value)


def to_number(value: object) -> float:
    """JavaScript's `Number(value)`, as a double.

    Example:
        >>> to_number(" 0x10 "), to_number(None), to_number([]), to_number("1 2")
        (16.0, 0.0, 0.0, nan)
    """
    if value is None:
        return 0.0
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if value is UNDEFINED:
        return math.nan
    if isinstance(value, Moment):
        return value.instant
    return parse_number(value if isinstance(value, str) else to_text(value))


def to_integer(value: object) -> float:
    """JavaScript's `ToIntegerOrInfinity`: truncated, with NaN as 0, as a double."""
    number = to_number(value)
    if math.isnan(number):
        return 0.0
    return number if math.isinf(number) else float(math.trunc(number))


def to_int32(value: object) -> int:
    """JavaScript's `ToInt32`: the low 32 bits, with sign."""
    low = to_uint32(value)
    return low - 2**32 if low >= 2**31 else low


def to_uint32(value: object) -> int:
    """JavaScript's `ToUint32`: the low 32 bits, without sign."""
    number = to_number(value)
    return 0 if not math.isfinite(number) else math.trunc(number) % 2**32


def to_text(value: object) -> str:
    """JavaScript's `String(value)`.

    Example:
        >>> to_text([1, None, ["a"]]), to_text({}), to_text(1e21), to_text(True)
        ('1,,a', '[object Object]', '1e+21', 'true')
    """
    if isinstance(value, str):
        return full_text(value.instant, value.zone) if isinstance(value, Moment) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, (list, tuple)):
        return join(value, ",")
    if is_nullish(value):
        return "null" if value is None else "undefined"
    return "[object Object]"


def join(values: list[object] | tuple[object, ...], separator: str) -> str:
    """JavaScript's `array.join`: null and undefined are empty."""
    return separator.join("" if is_nullish(value) else to_text(value) for value in values)


def number(value: float) -> int | float:
    """A result of arithmetic as JSON writes it: whole and exactly representable means `int`.

    Minus zero stays a float, as it cannot be an `int`.

    Example:
        >>> number(2.0), number(0.5), number(1e300), number(-0.0)
        (2, 0.5, 1e+300, -0.0)
    """
    if abs(value) <= _EXACT and value.is_integer() and (value or math.copysign(1, value) > 0):
        return int(value)
    return value
