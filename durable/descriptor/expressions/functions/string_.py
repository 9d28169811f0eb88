"""`@string`: text. Indices and lengths are JavaScript's, see `expressions.units`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from durable.descriptor.expressions import units
from durable.descriptor.expressions.functions.arguments import Arguments, Function, Refusal
from durable.descriptor.expressions.numerals import SPACES
from durable.descriptor.expressions.regex_syntax import RegexError
from durable.descriptor.expressions.regexes import compile_regex
from durable.descriptor.expressions.values import (
    check_items,
    check_length,
    join,
    to_number,
    to_uint32,
)


def clamp(index: float, length: int) -> int:
    """An index, infinite ones too, brought into 0 … length."""
    return int(min(max(index, 0.0), float(length)))


def relative(index: float, length: int) -> int:
    """An index that counts from the end when negative, brought into 0 … length."""
    return clamp(index + length if index < 0 else index, length)


def _split(args: Arguments) -> list[str]:
    text = args.own_text()
    limit = to_uint32(args[2]) if args.given(2) else None
    if not args.given(1):
        return [text][:limit]
    separator = args.text(1)
    check_items(text.count(separator))
    # Whole characters, where JavaScript would break an emoji in two halves.
    return list(text)[:limit] if separator == "" else text.split(separator)[:limit]


def _char_at(args: Arguments) -> str:
    text, index = args.own_text(), args.integer(1)
    if not 0 <= index < units.length(text):
        return ""
    return units.cut(text, int(index), int(index) + 1)


def _index_of(args: Arguments) -> int:
    text = args.own_text()
    return units.find(text, args.text(1), clamp(args.integer(2), units.length(text)))


def _last_index_of(args: Arguments) -> int:
    text, wanted = args.own_text(), args.text(1)
    start = math.inf if math.isnan(to_number(args[2])) else args.integer(2)
    return units.find_last(text, wanted, clamp(start, units.length(text)))


def _slice(args: Arguments) -> str:
    text = args.own_text()
    length = units.length(text)
    start = relative(args.integer(1), length)
    end = relative(args.integer(2, default=length), length)
    return units.cut(text, start, max(start, end))


def _substring(args: Arguments) -> str:
    text = args.own_text()
    length = units.length(text)
    start, end = sorted(
        (clamp(args.integer(1), length), clamp(args.integer(2, default=length), length))
    )
    return units.cut(text, start, end)


def _padding(args: Arguments) -> str:
    text = args.own_text()
    filler = args.text(2) if args.given(2) else " "
    missing = args.integer(1) - units.length(text)
    if missing <= 0 or not filler:
        return ""
    check_length(args.integer(1))
    repeats = int(missing) // units.length(filler) + 1
    return units.cut(filler * repeats, 0, int(missing))


def _repeat(args: Arguments) -> str:
    text, count = args.own_text(), args.integer(1)
    if count < 0 or math.isinf(count):
        raise Refusal("a text cannot be repeated a negative or infinite number of times")
    check_length(units.length(text) * count)
    return text * int(count)


def _replace(args: Arguments) -> str:
    text, wanted, by = args.own_text(), args.text(1), args.text(2)
    place = text.find(wanted)
    if place < 0:
        return text
    before, after = text[:place], text[place + len(wanted) :]
    marks = {"$$": "$", "$&": wanted, "$`": before, "$'": after}
    pieces, size, at = [before], len(before) + len(after), 0
    while at < len(by):
        mark = marks.get(by[at : at + 2])
        pieces.append(by[at] if mark is None else mark)
        size += len(pieces[-1])
        check_length(size)
        at += 1 if mark is None else 2
    return "".join([*pieces, after])


def _search(args: Arguments) -> int:
    text = args.own_text()
    try:
        place = compile_regex(args.text(1) if args.given(1) else "").search(text)
    except RegexError as error:
        raise Refusal(f"its pattern is not usable: {error}") from error
    return units.length(text[:place]) if place > 0 else place


def _starts_with(args: Arguments) -> bool:
    text = args.own_text()
    length = units.length(text)
    return units.cut(text, clamp(args.integer(2), length), length).startswith(args.text(1))


def _ends_with(args: Arguments) -> bool:
    text = args.own_text()
    length = units.length(text)
    return units.cut(text, 0, clamp(args.integer(2, default=length), length)).endswith(args.text(1))


def _of_text(function: Callable[[str], str]) -> Function:
    return lambda args: function(args.own_text())


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "split": _split,
        "charAt": _char_at,
        "concat": lambda args: join(args.values, ""),
        "includes": lambda args: _index_of(args) >= 0,
        "indexOf": _index_of,
        "lastIndexOf": _last_index_of,
        "slice": _slice,
        "toLowerCase": _of_text(str.lower),
        "toUpperCase": _of_text(str.upper),
        "trim": _of_text(lambda text: text.strip(SPACES)),
        "trimStart": _of_text(lambda text: text.lstrip(SPACES)),
        "trimEnd": _of_text(lambda text: text.rstrip(SPACES)),
        "padStart": lambda args: _padding(args) + args.own_text(),
        "padEnd": lambda args: args.own_text() + _padding(args),
        "replace": _replace,
        "search": _search,
        "substring": _substring,
        "startsWith": _starts_with,
        "endsWith": _ends_with,
        "repeat": _repeat,
    }
)
