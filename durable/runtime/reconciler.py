"""Reservations of a member in the tables, against those that it knows.

The answer to a claim may be lost, and so may the one to a commit, or a release: then a row stays
reserved by a member that does not know of it, and no other may take it. So each poll compares
the number of the rows, and the exclusive or of their ids, with what is known here; only where they
differ is the list itself read.

A row counts as forgotten if it was unknown in two looks some seconds apart, and whatever was under
way at the first of them (a claim, or a commit that reserves) has been answered since: so what is
only late is not let go of. In the same way, what is known here and reserved by another member, or
by none, is lost.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import xor

from durable.runtime.clocks import SYSTEM, HostClock

APART = 5.0  # seconds between the two looks


@dataclass(frozen=True, slots=True)
class Reserved:
    """What the tables hold for one member.

    Attributes:
        count: how many rows. ids: the exclusive or of their ids.
    """

    count: int
    ids: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Ids of rows that were reserved for us and forgotten here, and of those lost to others."""

    forgotten: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()


class Reconciler:
    """Finds forgotten and lost reservations of one member.

    Args:
        clock: measures the seconds between two looks.

    Example:
        >>> reconciler = Reconciler()
        >>> reconciler.look({7: 7}, lambda row, run: False, ())  # unknown, but for the first time
        Difference(forgotten=(), lost=())
    """

    def __init__(self, clock: HostClock = SYSTEM) -> None:
        self._clock = clock
        self._flights: dict[int, float] = {}  # what may reserve rows, and when it began
        self._numbers = itertools.count()
        self._unknown: dict[int, float] = {}  # id: when it was first seen
        self._missing: dict[int, float] = {}
        self._looked = float("-inf")

    def begin(self) -> int:
        """Something that may reserve rows is sent; its number, for `end`."""
        number = next(self._numbers)
        self._flights[number] = self._clock.monotonic()
        return number

    def end(self, number: int) -> None:
        """It has been answered, and what it reserved is known; or its answer never comes."""
        self._flights.pop(number, None)

    @contextmanager
    def reserving(self) -> Iterator[None]:
        """Within the block a claim is sent, answered, and what it brought noted."""
        number = self.begin()
        try:
            yield
        finally:
            self.end(number)

    def turned_up(self, ids: Iterable[int]) -> None:
        """These are known from now on: an earlier look at them counts no more."""
        if self._unknown:
            for row in ids:
                self._unknown.pop(row, None)

    def reset(self) -> None:
        """This process holds nothing any more, or holds it as another member."""
        self._unknown.clear()
        self._missing.clear()
        self._flights.clear()

    @property
    def doubtful(self) -> bool:
        """Whether what was seen once is to be looked at again."""
        return bool(self._unknown or self._missing)

    def is_due(self, reserved: Reserved, known: Collection[int]) -> bool:
        """Whether the list itself is to be read: they differ, and it was not read just now."""
        if len(known) == reserved.count and reduce(xor, known, 0) == reserved.ids:
            self._unknown.clear()
            self._missing.clear()
            return False
        return self._clock.monotonic() - self._looked >= APART

    def look(
        self,
        reserved: Mapping[int, int],
        is_known: Callable[[int, int], bool],
        expected: Collection[int],
    ) -> Difference:
        """Compare the list that was just read.

        Args:
            reserved: the rows that the tables hold for this member: id, and run.
            is_known: whether a row is held here, or something of it or of its run is under way.
            expected: rows that are held here, with nothing of them under way.
        """
        now = self._looked = self._clock.monotonic()
        oldest = min(self._flights.values(), default=float("inf"))
        unknown = [row for row, run in reserved.items() if not is_known(row, run)]
        missing = [row for row in expected if row not in reserved]
        self._unknown = {row: self._unknown.get(row, now) for row in unknown}
        self._missing = {row: self._missing.get(row, now) for row in missing}
        return Difference(_since(self._unknown, now, oldest), _since(self._missing, now, oldest))


def _since(seen: Mapping[int, float], now: float, oldest: float) -> tuple[int, ...]:
    return tuple(row for row, since in seen.items() if now - since >= APART and oldest > since)
