"""`@array`: arrays. Nothing changes the array it was given; what JavaScript changes is copied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cmp_to_key
from types import MappingProxyType
from typing import Final

from durable.descriptor.expressions.collation import SortKey, collation_key
from durable.descriptor.expressions.comparison import less, strict_equal
from durable.descriptor.expressions.functions.arguments import Arguments, Function, Refusal
from durable.descriptor.expressions.functions.string_ import clamp, relative
from durable.descriptor.expressions.paths import property_of
from durable.descriptor.expressions.values import UNDEFINED, is_nullish, join, to_text, truthy

MOST_SORTED = 100_000  # items: each is compared with some twenty others


def _get(args: Arguments) -> object:
    index = to_text(args[1]) if truthy(args[1]) else "0"
    found = property_of(args[0], index)
    return property_of(found, args.text(2)) if args.given(2) else found


def _concat(args: Arguments) -> list[object]:
    result = args.own_array()
    for value in args.values[1:]:
        result.extend(value if isinstance(value, (list, tuple)) else [_held(value)])
    return result


def _held(value: object) -> object:
    """An array holds no undefined: JSON could not write it."""
    return None if value is UNDEFINED else value


def _index_of(args: Arguments) -> int:
    items = args.own_array()
    for index in range(relative(args.integer(2), len(items)), len(items)):
        if strict_equal(items[index], args[1]):
            return index
    return -1


def _last_index_of(args: Arguments) -> int:
    items = args.own_array()
    start = args.integer(2) if len(args) > 2 else math.inf  # noqa: PLR2004 - an undefined third counts as 0
    if start < 0:
        start += len(items)
    for index in range(int(min(start, len(items) - 1)) if start >= 0 else -1, -1, -1):
        if strict_equal(items[index], args[1]):
            return index
    return -1


def _slice(args: Arguments) -> list[object]:
    items = args.own_array()
    start = relative(args.integer(1), len(items))
    return items[start : relative(args.integer(2, default=len(items)), len(items))]


def _splice(args: Arguments) -> list[object]:
    """The removed part, as in JavaScript; with a start alone that is all from there on."""
    items = args.own_array()
    start = relative(args.integer(1), len(items))
    if len(args) < 2:  # noqa: PLR2004 - without a start nothing is removed
        return []
    count = len(items) - start if len(args) == 2 else clamp(args.integer(2), len(items) - start)  # noqa: PLR2004
    return items[start : start + count]


def _sort(args: Arguments) -> list[object]:
    items = args.own_array()
    order = args[1] if args.given(1) else "ASCENDING"
    if order not in ("ASCENDING", "DESCENDING"):
        raise Refusal("its order is ASCENDING or DESCENDING")
    if len(items) > MOST_SORTED:
        raise Refusal(f"up to {MOST_SORTED:,} items are sorted")
    sign = 1 if order == "ASCENDING" else -1
    keys = {item: collation_key(item) for item in items if isinstance(item, str)}
    return sorted(items, key=cmp_to_key(lambda a, b: sign * _compare(a, b, keys)))


def _compare(left: object, right: object, keys: Mapping[str, SortKey]) -> int:
    """Nothing first, then numbers by size and texts as a reader expects them."""
    if is_nullish(left) or is_nullish(right):
        return is_nullish(right) - is_nullish(left)
    if isinstance(left, str) and isinstance(right, str):
        a, b = keys[left], keys[right]
        return int(a > b) - int(a < b)
    return (less(right, left) is True) - (less(left, right) is True)


def _edge(index: int) -> Function:
    def take(args: Arguments) -> object:
        items = args.own_array()
        return items[index] if items else UNDEFINED

    return take


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "get": _get,
        "length": lambda args: property_of(args[0], "length"),
        "concat": _concat,
        "indexOf": _index_of,
        "join": lambda args: join(args.own_array(), args.text(1) if args.given(1) else ","),
        "lastIndexOf": _last_index_of,
        "pop": _edge(-1),
        "push": lambda args: [*args.own_array(), *map(_held, args.values[1:])],
        "reverse": lambda args: args.own_array()[::-1],
        "shift": _edge(0),
        "slice": _slice,
        "sort": _sort,
        "splice": _splice,
        "unshift": lambda args: len(args.own_array()) + len(args.values[1:]),
    }
)
