"""The throttles of a task queue, as one worker obeys them.

Every claim leaves out, by the database, what is paused at that moment. What goes on without a claim
is governed from here, by what the latest poll has read: a run of a throttled workflow leaves the
process, a step of a throttled activity gets a row instead of starting in it, and claims of what has
a delay take one row and rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

T = TypeVar("T")
Take = Callable[[int, str, list[str], int, float], Awaitable[list[T]]]
"""Claims rows: the member, the task queue, names, how many at most, for how long they are due."""

PAUSED: Final = -1


class QueueThrottles:
    """The throttles in force for the workflows and activities of one worker.

    Args:
        workflows: the names of the workflows; the other names are those of activities.

    Attributes:
        known: set once a poll has read them.
        in_force: the throttles that are not 0, by name.
    """

    def __init__(self, workflows: Iterable[str]) -> None:
        self.known = asyncio.Event()
        self._workflows = frozenset(workflows)
        self.in_force: dict[str, int] = {}
        self._paces_runs = False

    def set(self, found: Mapping[str, int]) -> bool:
        """Take over what a poll has read, by name; whether it differs from what was in force."""
        self.known.set()
        throttled = {name: throttle for name, throttle in found.items() if throttle}
        if throttled == self.in_force:
            return False
        self.in_force = throttled
        self._paces_runs = not self._workflows.isdisjoint(throttled)
        return True

    def of(self, name: str) -> int:
        """-1: paused; else the milliseconds between two claims."""
        return self.in_force.get(name, 0)

    def starts_here(self, activity: str) -> bool:
        """Whether a step may start in the process of its run, without a claim."""
        return not (self._paces_runs or activity in self.in_force)

    def groups(self, names: Iterable[str]) -> dict[int, list[str]]:
        """The names that are not paused, by their delay; those without one first."""
        groups: dict[int, list[str]] = {}
        for name in names:
            groups.setdefault(self.of(name), []).append(name)
        groups.pop(PAUSED, None)
        return dict(sorted(groups.items()))


class ThrottledClaims(Generic[T]):
    """Claims of workflows, or of activities, no faster than throttles allow.

    Args:
        throttles: those in force.
        take: claims rows.
        claimed: the task queue, and the names of what is claimed.
        wake: called when a rest is over.
    """

    def __init__(
        self, throttles: QueueThrottles, take: Take[T], claimed: tuple[str, Sequence[str]],
        wake: Callable[[], None],
    ) -> None:  # fmt: skip
        self._throttles = throttles
        self._take = take
        self._queue, self._names = claimed[0], list(claimed[1])
        self._wake = wake
        self._rests: dict[int, float] = {}  # delay: until when, by the loop's clock

    async def claim(self, member: int, limit: int, waiting: float) -> list[T]:
        """Take what may be claimed now.

        Names with the same delay share it: one row of them, then the rest.
        """
        await self._throttles.known.wait()
        if not self._throttles.in_force:
            return await self._take(member, self._queue, self._names, limit, waiting)
        now = asyncio.get_running_loop().time
        taken: list[T] = []
        for delay, names in self._throttles.groups(self._names).items():
            if len(taken) >= limit or self._rests.get(delay, 0.0) > now():
                continue
            most = 1 if delay else limit
            found = await self._take(member, self._queue, names, most, waiting)
            if found and delay:
                self._rest(delay)
            taken += found
        return taken

    def _rest(self, delay: int) -> None:
        loop = asyncio.get_running_loop()
        self._rests[delay] = loop.time() + delay / 1000
        loop.call_at(self._rests[delay], self._wake)
