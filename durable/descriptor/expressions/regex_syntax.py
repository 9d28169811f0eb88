r"""JavaScript's patterns, read into a tree: the syntax of a `RegExp` without flags.

What cannot be searched for in linear time (backreferences, lookaround) is refused by name, and so
is what JavaScript refuses. `\u{1f642}` is that character, as it is in JavaScript with the flag
`u`: texts are searched by whole characters, never by halves of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from durable.descriptor.expressions.numerals import SPACES

LONGEST_PATTERN = 1000  # characters; a pattern is configuration, not data
DEEPEST = 50  # groups within groups
LARGEST = 4000  # characters and choices, once counted repeats are written out
_LAST = 0x10FFFF
_BYTE = 256


class RegexError(ValueError):
    """The pattern is not one, or uses what cannot be searched for in linear time."""


Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of these code points, both ends included; sorted and apart."""

    ranges: Ranges
    size: int = 1


@dataclass(frozen=True, slots=True)
class Edge:
    """A place: `^`, `$`, `b` (the edge of a word) or `B`."""

    kind: str
    size: int = 1


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after another."""

    parts: tuple[Tree, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    options: tuple[Tree, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """At least so many times; at most so many, None for any number."""

    part: Tree
    least: int
    most: int | None
    size: int


Tree = Chars | Edge | Sequence | Choice | Repeat


def union(ranges: list[tuple[int, int]]) -> Ranges:
    """The same code points, sorted and apart."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: Ranges) -> Ranges:
    """All other code points."""
    others: list[tuple[int, int]] = []
    start = 0
    for low, high in ranges:
        if low > start:
            others.append((start, low - 1))
        start = high + 1
    if start <= _LAST:
        others.append((start, _LAST))
    return tuple(others)


DIGITS: Final[Ranges] = ((48, 57),)
WORD: Final[Ranges] = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Final = union([(ord(c), ord(c)) for c in SPACES])
_NOT_LINE_END: Final = complement(((10, 10), (13, 13), (0x2028, 0x2029)))
_CLASSES: Final = {
    "d": DIGITS,
    "D": complement(DIGITS),
    "w": WORD,
    "W": complement(WORD),
    "s": _SPACE,
    "S": complement(_SPACE),
}
_CONTROLS: Final = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_LOOKAROUND: Final = ("?=", "?!", "?<=", "?<!")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_DECIMAL: Final = frozenset("0123456789")


def parse(pattern: str) -> Tree:
    r"""The tree of a pattern.

    Raises `RegexError` for what is none, for backreferences and lookaround, and for what is too
    long, too deep or, with its counted repeats written out, too large.

    Example:
        >>> parse("a")
        Sequence(parts=(Chars(ranges=((97, 97),), size=1),), size=1)
    """
    if len(pattern) > LONGEST_PATTERN:
        raise RegexError(f"it is longer than {LONGEST_PATTERN:,} characters")
    parser = _Parser(pattern)
    tree = parser.choice(0)
    if parser.at < len(pattern):
        raise RegexError(f"the ')' at character {parser.at} closes no group")
    return tree


class _Parser:
    """Reads a pattern from left to right; `at` is the next character."""

    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0
        self._names = "(?<" in pattern.replace("(?<=", "").replace("(?<!", "")

    def _next(self, expected: str) -> bool:
        """Go past this text if it is what follows."""
        if self.text.startswith(expected, self.at):
            self.at += len(expected)
            return True
        return False

    def _take(self) -> str:
        if self.at >= len(self.text):
            raise RegexError("it ends too early")
        self.at += 1
        return self.text[self.at - 1]

    def choice(self, depth: int) -> Tree:
        if depth > DEEPEST:
            raise RegexError(f"its groups are nested deeper than {DEEPEST} levels")
        options = [self._sequence(depth)]
        while self._next("|"):
            options.append(self._sequence(depth))
        if len(options) == 1:
            return options[0]
        return Choice(tuple(options), _fit(sum(option.size + 1 for option in options)))

    def _sequence(self, depth: int) -> Tree:
        parts: list[Tree] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self._repeated(self._term(depth)))
        return Sequence(tuple(parts), _fit(sum(part.size for part in parts)))

    def _term(self, depth: int) -> Tree:
        start = self.at
        character = self._take()
        if character == "(":
            return self._group(depth, start)
        if character == "[":
            return self._set(start)
        if character == "\\":
            return self._escape()
        if character in "^$":
            return Edge(character)
        if character in "*+?" or (character == "{" and self._counts(start) is not None):
            raise RegexError(f"there is nothing to repeat at character {start}")
        if character == ".":
            return Chars(_NOT_LINE_END)
        return _one(ord(character))

    def _group(self, depth: int, start: int) -> Tree:
        for mark in _LOOKAROUND:
            if self._next(mark):
                raise RegexError(f"lookaround, ({mark}…), cannot be searched for in linear time")
        if self._next("?<"):
            end = self.text.find(">", self.at)
            name = self.text[self.at : max(end, self.at)]
            if not name.replace("$", "_").isidentifier():
                raise RegexError(f"the group at character {start} has no valid name")
            self.at = end + 1
        elif not self._next("?:") and self._next("?"):
            raise RegexError(f"the group at character {start} begins with an unknown mark")
        tree = self.choice(depth + 1)
        if not self._next(")"):
            raise RegexError(f"the group at character {start} is not closed")
        return tree

    def _repeated(self, part: Tree) -> Tree:
        counts: tuple[int, int | None] | None = None
        start = self.at
        if self._next("*"):
            counts = (0, None)
        elif self._next("+"):
            counts = (1, None)
        elif self._next("?"):
            counts = (0, 1)
        elif self._next("{"):
            counts = self._counts(start)
        if counts is None:
            self.at = start
            return part
        self._next("?")  # a lazy one finds its first match in the same place
        if isinstance(part, Edge):
            raise RegexError(f"there is nothing to repeat at character {start}")
        least, most = counts
        if most is not None and most < least:
            raise RegexError(f"the counts at character {start} are out of order")
        times = max(least + 1 if most is None else most, 1)
        return Repeat(part, least, most, _fit((part.size + 1) * times))

    def _counts(self, start: int) -> tuple[int, int | None] | None:
        """`{2}`, `{2,}` or `{2,5}` at this place, gone past; None when it is just a brace."""
        end = self.text.find("}", start)
        least, comma, most = self.text[start + 1 : max(end, start + 1)].partition(",")
        if not _is_decimal(least) or not (most == "" or _is_decimal(most)):
            return None
        self.at = end + 1
        if not comma:
            return _count(least), _count(least)
        return _count(least), _count(most) if most else None

    def _escape(self) -> Tree:
        if self.at >= len(self.text):
            raise RegexError("it ends with a single \\")
        letter = self.text[self.at]
        if letter in "bB":
            self.at += 1
            return Edge(letter)
        if letter in "123456789" or (letter == "k" and self._names):
            raise RegexError(f"a backreference, \\{letter}, cannot be searched for in linear time")
        found = self._escaped()
        return Chars(found) if isinstance(found, tuple) else _one(found)

    def _escaped(self) -> int | Ranges:
        """What stands after a backslash: a class, or one character."""
        letter = self._take()
        if letter in _CLASSES:
            return _CLASSES[letter]
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter in _DECIMAL:
            if letter != "0" or self.text[self.at : self.at + 1] in _DECIMAL:
                raise RegexError(f"characters are not named in octal, as by \\{letter}: use \\x")
            return 0
        if letter == "c":
            control = self.text[self.at : self.at + 1]
            if not (control.isascii() and control.isalpha()):
                raise RegexError("\\c needs a letter after it")
            self.at += 1
            return ord(control) % 32
        if letter in "xu":
            return self._numbered(letter)
        return ord(letter)

    def _numbered(self, letter: str) -> int:
        if letter == "u" and self._next("{"):
            end = self.text.find("}", self.at)
            digits = self.text[self.at : max(end, self.at)]
            if not digits or not _HEX.issuperset(digits) or len(digits) > 6:  # noqa: PLR2004 - 10ffff
                raise RegexError("\\u{…} needs up to six hexadecimal digits")
            self.at = end + 1
            if int(digits, 16) > _LAST:
                raise RegexError(f"there is no character \\u{{{digits}}}")
            return int(digits, 16)
        width = 2 if letter == "x" else 4
        digits = self.text[self.at : self.at + width]
        if len(digits) < width or not _HEX.issuperset(digits):
            return ord(letter)
        self.at += width
        return int(digits, 16)

    def _set(self, start: int) -> Tree:
        negated = self._next("^")
        ranges: list[tuple[int, int]] = []
        while not self._next("]"):
            if self.at >= len(self.text):
                raise RegexError(f"the set at character {start} is not closed")
            ranges.extend(self._item())
        found = union(ranges)
        return Chars(complement(found) if negated else found)

    def _item(self) -> Ranges:
        """One character of a set, a class, or a range."""
        low = self._member()
        if self.text[self.at : self.at + 1] != "-" or self.text[self.at + 1 : self.at + 2] in {
            "]",
            "",
        }:
            return low if isinstance(low, tuple) else ((low, low),)
        self.at += 1
        high = self._member()
        if isinstance(low, tuple) or isinstance(high, tuple):
            sides = (low if isinstance(low, tuple) else ((low, low),)) + (
                high if isinstance(high, tuple) else ((high, high),)
            )
            return (*sides, (ord("-"), ord("-")))
        if high < low:
            raise RegexError(f"the range before character {self.at} is out of order")
        return ((low, high),)

    def _member(self) -> int | Ranges:
        character = self._take()
        if character != "\\":
            return ord(character)
        return 8 if self._next("b") else self._escaped()


def _one(code: int) -> Chars:
    return Chars(((code, code),))


def _is_decimal(text: str) -> bool:
    return text != "" and _DECIMAL.issuperset(text)


def _count(digits: str) -> int:
    return min(int(digits[-9:]) if len(digits) < 10 else LARGEST + 1, LARGEST + 1)  # noqa: PLR2004


def _fit(size: int) -> int:
    if size > LARGEST:
        raise RegexError("it is too large once its counted repeats are written out")
    return size
