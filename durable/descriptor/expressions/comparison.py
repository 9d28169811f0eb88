"""JavaScript's equality and order over JSON values."""

from __future__ import annotations

import math

from durable.descriptor.expressions.dates import Moment
from durable.descriptor.expressions.values import (
    UNDEFINED,
    is_nullish,
    is_number,
    to_number,
    to_text,
)


def strict_equal(left: object, right: object) -> bool:
    """`===`: same type and same value; arrays and objects are equal to themselves only.

    Example:
        >>> strict_equal(1, 1.0), strict_equal(1, True), strict_equal([], [])
        (True, False, False)
    """
    if is_number(left) and is_number(right):
        return left == right
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return left is right and not is_number(left)


def loose_equal(left: object, right: object) -> bool:
    """`==`: null equals undefined, and other types are compared as numbers or texts.

    Example:
        >>> loose_equal(42, "42"), loose_equal(None, 0), loose_equal([1], 1)
        (True, False, True)
    """
    if is_nullish(left) or is_nullish(right):
        return is_nullish(left) and is_nullish(right)
    if _is_container(left) and _is_container(right):
        return left is right
    left, right = _primitive(left), _primitive(right)
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    if is_number(left) and is_number(right):
        return left == right
    return to_number(left) == to_number(right)


def less(left: object, right: object) -> bool | None:
    """`<`, with None where JavaScript finds no order because one side is NaN.

    Texts are compared by UTF-16 code units, anything else, dates too, as numbers.
    """
    left, right = _ordinal(left), _ordinal(right)
    if isinstance(left, str) and isinstance(right, str):
        return code_units(left) < code_units(right)
    if is_number(left) and is_number(right):
        return _ordered(left, right)
    return _ordered(to_number(left), to_number(right))


def code_units(text: str) -> bytes:
    """A sort key that orders texts as JavaScript does, by UTF-16 code units."""
    return text.encode("utf-16-be", "surrogatepass")


def same_value_key(value: object) -> tuple[str, object] | None:
    """A dict key such that equal keys mean `===`; None for what equals nothing but itself."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, (int, float)):
        return None if math.isnan(value) else ("number", value)
    if isinstance(value, str):
        return ("string", value)
    if value is None or value is UNDEFINED:
        return ("nothing", repr(value))
    return None


def _ordered(left: object, right: object) -> bool | None:
    if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
        return None
    return None if math.isnan(left) or math.isnan(right) else left < right


def _is_container(value: object) -> bool:
    return isinstance(value, (list, tuple, dict))


def _ordinal(value: object) -> object:
    return value.instant if isinstance(value, Moment) else _primitive(value)


def _primitive(value: object) -> object:
    return to_text(value) if _is_container(value) else value
