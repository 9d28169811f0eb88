"""Values that JSON and Postgres can hold: copied deep, and refused with the place of what is not.

Example:
    >>> plain({"tags": ("a", "b")}, "the document")
    {'tags': ['a', 'b']}
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from durable.errors import PayloadError
from durable.protocol.searchable import DIGITS_MAX, storable

DEPTH_MAX = 64  # nested dicts and lists


def plain(value: object, what: str) -> Any:
    """A deep copy of plain data: text, numbers, booleans, None, lists and dicts with text keys.

    Tuples become lists. Raises `PayloadError`, naming the place within `what`, for anything else:
    NaN, keys that are not text, text that Postgres cannot keep, nesting without end.
    """
    return _copied(value, what, DEPTH_MAX)


def compact_json(value: object) -> str:
    """Plain data as JSON text, short."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _copied(value: object, where: str, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int | float):
        return _number(value, where)
    if depth == 0:
        raise PayloadError(f"{where} is nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, Mapping):
        return {
            _key(key, where): _copied(inner, f"{where}.{key}", depth - 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_copied(inner, f"{where}[{n}]", depth - 1) for n, inner in enumerate(value)]
    raise PayloadError(
        f"{where} is of type {type(value).__name__}, which JSON does not know: give text, numbers,"
        " booleans, None, lists or dicts"
    )


def _number(value: float, where: str) -> int | float:
    if isinstance(value, float) and not math.isfinite(value):
        raise PayloadError(f"{where} is {value!r}: JSON holds finite numbers")
    if isinstance(value, int) and value.bit_length() >= DIGITS_MAX * math.log2(10):
        raise PayloadError(f"{where} has more than {DIGITS_MAX:,} digits: keep it as text")
    return value


def _key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise PayloadError(f"{where} has the key {key!r:.100}: keys are text in JSON")
    return _text(key, where)


def _text(text: str, where: str) -> str:
    if not storable(text):
        raise PayloadError(f"{where} has a character that Postgres cannot keep in JSON")
    return text
