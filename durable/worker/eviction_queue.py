"""Giving runs back that this process evicts, without losing what arrives for them meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from durable.postgres.retrying import retry_until_connected
from durable.runtime.clocks import MemberClock
from durable.runtime.notifications import QueueKind
from durable.runtime.supervision import Tasks
from durable.worker.worker_services import WorkerServices

SOON = 1.0  # a run given back that is due within so many seconds is announced: polls are slower


class EvictionQueue:
    """Runs on their way back, from their eviction until the database knows.

    Args:
        services: the streams.
        queue: the task queue whose workers are told of runs that are due soon.
        clock: the database's time.
        member: who holds the runs.
        tasks: where it is done.
    """

    def __init__(
        self,
        services: WorkerServices,
        queue: str,
        clock: MemberClock,
        member: Callable[[], int],
        tasks: Tasks,
    ) -> None:
        self._services = services
        self._queue = queue
        self._clock, self._tasks = clock, tasks
        self._member = member
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
            self._tasks.once("give back", self._give_back, otherwise=self._give_up)

    @property
    def runs(self) -> set[int]:
        """Those that are on their way."""
        return {*self._due, *self._going}

    async def _give_back(self) -> None:
        # One batch at a time: a run may be claimed, and leave again, before the answer is here.
        while self._due or self._going:
            self._going.update(self._due)  # what an earlier try left, too
            self._due = {}
            await retry_until_connected(self._write)
            soon = self._clock.now() + SOON
            early = any(at is not None and at < soon for at in self._going.values())
            if early or not self._missed.isdisjoint(self._going):
                self._services.announcer.queue(self._queue, QueueKind.TURN, len(self._going))
            self._missed.difference_update(self._going)
            self._going = {}
        self._busy = False

    def _give_up(self, _name: str, _error: BaseException) -> None:
        """Nobody here knows of them any more: so the reconciler frees them."""
        self._due, self._going, self._busy = {}, {}, False

    async def _write(self) -> None:
        await self._services.runs.give_back(self._member(), self._going)
