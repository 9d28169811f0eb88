r"""Where a pattern of JavaScript's first matches a text, in time linear in the text.

Patterns and texts come from descriptors and from the data of jobs, and a backtracking engine can be
kept busy for hours by thirty characters of them. Here a pattern becomes an automaton that reads the
text once, from its end to its beginning: at each place it knows whether a match begins there, and
the last place that it comes to is the first match. Nothing is ever tried twice.

`re2` would do as well, but has no wheels for musl; and all that a mapping asks is where a match
begins, for which this is enough, with JavaScript's own sets of characters.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from durable.descriptor.expressions.regex_syntax import (
    WORD,
    Chars,
    Choice,
    Edge,
    Ranges,
    RegexError,
    Repeat,
    Sequence,
    Tree,
    parse,
)

_OUTSIDE: Final = "outside"
_IN_WORD: Final = "word"
_OTHER: Final = "other"

LONGEST_TEXT = 1_000_000  # characters that are searched: a tenth of a second of an engine's time
MOST_WORK = 500_000  # visits of a pattern's places in one search, half a second


@dataclass(frozen=True, slots=True)
class _Step:
    """What a character leads to: whether a match begins after it, and the state before it."""

    begins: bool
    state: _State


@dataclass(slots=True)
class _State:
    """Places of the pattern at which the search is, and what stands to the right of it."""

    places: frozenset[int]
    right: str
    steps: dict[str, _Step] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Place:
    """One instruction: read one of `ranges`, be at an `edge`, or go to each of `to` at once."""

    to: tuple[int, ...]
    ranges: Ranges | None = None
    edge: str = ""


class Regex:
    r"""A compiled pattern.

    Example:
        >>> Regex(r"\d{2}$").search("a 12"), Regex("a$").search("a")
        (2, 0)
    """

    def __init__(self, pattern: str) -> None:
        self._places: list[_Place] = [_Place(())]  # the match is complete: place 0
        self._start = self._build(parse(pattern), 0)

    def search(self, text: str) -> int:
        """The place of the first match, -1 when there is none.

        Raises `RegexError` for a text that is too long, or that takes too much work.
        """
        if len(text) > LONGEST_TEXT:
            raise RegexError(f"texts of up to {LONGEST_TEXT:,} characters are searched")
        run = _Run(self._places, self._start)
        state = run.state(frozenset((self._start,)), _OUTSIDE)
        found, at = -1, len(text)
        for character in reversed(text):
            step = state.steps.get(character) or run.step(state, character)
            if step.begins:
                found = at
            state = step.state
            at -= 1
        return 0 if run.begins(state, _OUTSIDE) else found

    def _add(self, place: _Place) -> int:
        self._places.append(place)
        return len(self._places) - 1

    def _build(self, tree: Tree, then: int) -> int:
        """The place at which to begin so that `tree` is read from its end, and then `then`."""
        if isinstance(tree, Chars):
            return self._add(_Place((then,), tree.ranges))
        if isinstance(tree, Edge):
            return self._add(_Place((then,), edge=tree.kind))
        if isinstance(tree, Choice):
            return self._add(_Place(tuple(self._build(option, then) for option in tree.options)))
        if isinstance(tree, Sequence):
            for part in tree.parts:
                then = self._build(part, then)
            return then
        return self._repeat(tree, then)

    def _repeat(self, tree: Repeat, then: int) -> int:
        if tree.most is None:
            loop = self._add(_Place(()))
            self._places[loop] = _Place((self._build(tree.part, loop), then))
            then = loop
        else:
            done = then
            for _ in range(tree.most - tree.least):
                then = self._add(_Place((self._build(tree.part, then), done)))
        for _ in range(tree.least):
            then = self._build(tree.part, then)
        return then


class _Run:
    """One search: its states are made as they are met, and its work is counted.

    They are not kept for the next search, so that what a search costs, and whether it is refused,
    depends on nothing but its pattern and its text.
    """

    def __init__(self, places: list[_Place], start: int) -> None:
        self._places = places
        self._start = start
        self._states: dict[tuple[frozenset[int], str], _State] = {}
        self._work = 0

    def state(self, places: frozenset[int], right: str) -> _State:
        """The state of these places."""
        key = (places, right)
        found = self._states.get(key)
        if found is None:
            found = self._states[key] = _State(places, right)
        return found

    def step(self, state: _State, character: str) -> _Step:
        """Read a character, to the left of where the search is."""
        code = ord(character)
        left = _IN_WORD if _among(WORD, code) else _OTHER
        reached = self._reached(state, left)
        ahead = {self._start}
        for place in reached:
            ranges = self._places[place].ranges
            if ranges is not None and _among(ranges, code):
                ahead.update(self._places[place].to)
        step = _Step(0 in reached, self.state(frozenset(ahead), left))
        state.steps[character] = step
        return step

    def begins(self, state: _State, left: str) -> bool:
        """Whether a match begins here, when this stands to the left."""
        return 0 in self._reached(state, left)

    def _reached(self, state: _State, left: str) -> set[int]:
        """All places to which one comes without reading a character."""
        reached = set(state.places)
        ahead = list(reached)
        while ahead:
            place = self._places[ahead.pop()]
            if place.ranges is None and _at_edge(place.edge, left, state.right):
                new = [to for to in place.to if to not in reached]
                reached.update(new)
                ahead.extend(new)
        self._work += len(reached)
        if self._work > MOST_WORK:
            raise RegexError("searching this text takes too much work")
        return reached


def _at_edge(edge: str, left: str, right: str) -> bool:
    if edge == "^":
        return left == _OUTSIDE
    if edge == "$":
        return right == _OUTSIDE
    if not edge:
        return True
    return ((left == _IN_WORD) != (right == _IN_WORD)) == (edge == "b")


def _among(ranges: Ranges, code: int) -> bool:
    place = bisect_right(ranges, (code, 0x110000)) - 1
    return place >= 0 and ranges[place][1] >= code


@lru_cache(maxsize=256)
def compile_regex(pattern: str) -> Regex:
    r"""A pattern, compiled; those of a descriptor come again and again.

    Raises `RegexError` for what is not a pattern, and what cannot be searched for in linear time.

    Example:
        >>> compile_regex(r"^\d{2}$").search("12"), compile_regex("a$").search("a\n")
        (0, -1)
    """
    return Regex(pattern)
