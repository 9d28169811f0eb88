"""JavaScript's view of JSON values: undefined, truth, and the conversions to number and text.

JSON values are Python's None, bool, int, float, str, list and dict; `UNDEFINED` stands beside them
for what is not there at all. Arithmetic is done on doubles; results that are whole come back
as `int`, so that 4 / 2 is written down as 2.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Final

from durable.descriptor.expressions.dates import Moment, full_text
from durable.descriptor.expressions.numerals import number_text, parse_number

_EXACT = 2**53  # up to here every whole double is the integer it looks like


LONGEST = 16 * 1024 * 1024  # characters of a text that is made
MOST_ITEMS = 1_000_000  # of an array or object that is made, counted through all its levels


class TooLarge(Exception):
    """A value that is larger than any that is meant, though made of small ones."""


def check_length(size: float) -> None:
    """Raise `TooLarge` for a text of more characters than are made."""
    if size > LONGEST:
        raise TooLarge(f"the text would be longer than {LONGEST:,} characters")


def check_items(count: int) -> None:
    """Raise `TooLarge` for more items than are made."""
    if count > MOST_ITEMS:
        raise TooLarge(f"there would be more than {MOST_ITEMS:,} items")


def check_whole(value: object) -> None:
    """Raise `TooLarge` for a value that is too large when it is written down.

    An array may hold another twice, and that one another twice: what takes no room in memory is a
    text of any length.
    """
    count, size, ahead = 0, 0, [value]
    while ahead:
        item = ahead.pop()
        if isinstance(item, str):
            size += len(item)
        elif isinstance(item, (list, tuple)):
            count += len(item)
            check_items(count)
            ahead.extend(item)
        elif isinstance(item, dict):
            count += len(item)
            check_items(count)
            ahead.extend(item.values())
    check_length(size / 4)  # of several texts


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
    """JavaScript's `array.join`: null and undefined are empty. Raises `TooLarge`."""
    check_whole(values)
    return _joined(values, separator)


def _joined(values: list[object] | tuple[object, ...], separator: str) -> str:
    pieces, size = [], 0
    for value in values:
        if isinstance(value, (list, tuple)):
            text = _joined(value, ",")
        else:
            text = "" if is_nullish(value) else to_text(value)
        pieces.append(text)
        size += len(text) + len(separator)
        check_length(size)
    return separator.join(pieces)


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
