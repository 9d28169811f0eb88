"""`@json`: JavaScript's `JSON`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NoReturn

from durable.descriptor.expressions.functions.arguments import Arguments, Function, Refusal
from durable.descriptor.expressions.functions.object_ import enumerable
from durable.descriptor.expressions.numerals import number_text
from durable.descriptor.expressions.values import (
    UNDEFINED,
    check_length,
    check_whole,
    is_number,
    number,
    to_integer,
    to_text,
)

_WIDEST = 10  # columns of indentation, JavaScript's limit
_LONG_INTEGER = 309  # digits; no double is larger
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_TOO_DEEP: Final = "it is nested too deeply"


@dataclass(frozen=True, slots=True)
class _Writer:
    names: tuple[str, ...] | None  # the only keys to write, in this order
    indent: str

    def text(self, value: object, lead: str) -> str | None:
        """The text, None for what JSON leaves out; `lead` is the indentation so far."""
        if value is UNDEFINED:
            return None
        if isinstance(value, (list, tuple)):
            items = (self.text(item, lead + self.indent) or "null" for item in value)
            return self._brackets("[]", items, lead)
        if isinstance(value, dict):
            return self._brackets("{}", self._entries(value, lead + self.indent), lead)
        if isinstance(value, str):
            return quoted(value)
        if is_number(value) and isinstance(value, (int, float)):
            return number_text(value) if math.isfinite(value) else "null"
        return "null" if value is None else to_text(value)

    def _entries(self, value: dict[str, object], lead: str) -> Iterator[str]:
        own = enumerable(value)
        colon = ": " if self.indent else ":"
        for name in own if self.names is None else self.names:
            text = self.text(own.get(name, UNDEFINED), lead)
            if text is not None:
                yield f"{quoted(name)}{colon}{text}"

    def _brackets(self, pair: str, parts: Iterator[str], lead: str) -> str:
        written, size = [], 0
        for part in parts:
            written.append(part)
            size += len(part) + len(lead)
            check_length(size)
        if not written or not self.indent:
            return pair[0] + ",".join(written) + pair[1]
        inner = f"\n{lead}{self.indent}"
        return f"{pair[0]}{inner}{f',{inner}'.join(written)}\n{lead}{pair[1]}"


def quoted(text: str) -> str:
    """The text as JSON; halves of characters are escaped, as JavaScript does."""
    written = json.dumps(text, ensure_ascii=False)
    return _SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def _stringify(args: Arguments) -> object:
    names: tuple[str, ...] | None = None
    listed = args[1]
    if isinstance(listed, (list, tuple)):
        kept = (to_text(n) for n in listed if isinstance(n, str) or is_number(n))
        names = tuple(dict.fromkeys(kept))
    check_whole(args[0])
    try:
        text = _Writer(names, _indent(args[2])).text(args[0], "")
    except RecursionError as error:
        raise Refusal(_TOO_DEEP) from error
    return UNDEFINED if text is None else text


def _indent(space: object) -> str:
    if isinstance(space, str):
        return space[:_WIDEST]
    return " " * int(min(max(to_integer(space), 0), _WIDEST)) if is_number(space) else ""


def _parse(args: Arguments) -> object:
    try:
        value: object = json.loads(
            args.text(0), parse_int=_integer, parse_float=_float, parse_constant=_constant
        )
    except RecursionError as error:
        raise Refusal(_TOO_DEEP) from error
    except json.JSONDecodeError as error:
        raise Refusal(f"the text is no JSON: {error.msg} at character {error.pos}") from error
    return _whole_characters(value) if "\\u" in args.text(0) else value


def _integer(digits: str) -> float:
    if digits == "-0":
        return -0.0
    return int(digits) if len(digits) <= _LONG_INTEGER else float(digits)


def _float(digits: str) -> float:
    return number(float(digits))


def _constant(name: str) -> NoReturn:
    raise Refusal(f"the text is no JSON: {name} is none of its values")


def _whole_characters(value: object) -> object:
    """Without the halves of characters that an escape can name and no database can store."""
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole_characters(item) for item in value]
    if isinstance(value, dict):
        return {_SURROGATES.sub("\ufffd", k): _whole_characters(v) for k, v in value.items()}
    return value


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {"stringify": _stringify, "parse": _parse}
)
