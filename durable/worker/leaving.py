"""Giving runs back that this process evicts, without losing what arrives for them meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from durable.postgres.retrying import patiently
from durable.runtime.clocks import MemberClock
from durable.streams.ports import Ports

SOON = 1.0  # a run given back that is due within so many seconds is announced: polls are slower


class Leaving:
    """Runs on their way back, from their eviction until the database knows.

    Args:
        ports: the streams.
        queue: the task queue whose workers are told of runs that are due soon.
        clock: the database's time.
        member: who holds the runs.
        spawn: starts a coroutine as a task of the host.
    """

    def __init__(
        self,
        ports: Ports,
        queue: str,
        clock: MemberClock,
        member: Callable[[], int],
        spawn: Callable[[Coroutine[Any, Any, None]], Any],
    ) -> None:
        self._ports = ports
        self._queue = queue
        self._clock = clock
        self._member = member
        self._spawn = spawn
        self._due: dict[int, float | None] = {}  # runs to give back, and when they are due
        self._going: dict[int, float | None] = {}  # those that are on their way
        self._missed: set[int] = set()  # those of them for which something came meanwhile
        self._busy = False

    def __contains__(self, run_id: int) -> bool:
        return run_id in self._due or run_id in self._going

    def heard(self, run_id: int) -> None:
        """Something arrived for a run that is leaving: whoever takes it next must hear of it."""
        self._missed.add(run_id)

    def add(self, run_id: int, due: float | None) -> None:
        """Give a run back; `due` is when it has something to do next, None: when it is woken."""
        self._due[run_id] = due
        if not self._busy:
            self._busy = True
            self._spawn(self._give_back())

    async def _give_back(self) -> None:
        # One batch at a time: a run may be claimed, and leave again, before the answer is here.
        try:
            while self._due:
                self._going, self._due = self._due, {}
                await patiently(self._write)
                soon = self._clock.now() + SOON
                early = any(at is not None and at < soon for at in self._going.values())
                if early or not self._missed.isdisjoint(self._going):
                    self._ports.announcer.queue(self._queue, "turn", len(self._going))
                self._missed.difference_update(self._going)
                self._going = {}
        finally:
            self._busy = False

    async def _write(self) -> None:
        await self._ports.runs.give_back(self._member(), self._going)
