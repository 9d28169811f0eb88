"""How workers of functions confirm a throttle: they read it with their polls, and say so."""

from __future__ import annotations

from collections.abc import Container

from durable.hotmesh.quorum.commands import Throttle
from durable.hotmesh.quorum.roster import FunctionWorker, Roster
from durable.runtime.notifications import QueueKind
from durable.store.announcer import Announcer


class FunctionThrottle:
    """One throttle that was set, as the workers of functions of a task queue obey it.

    Args:
        roster: the workers that are alive.
        announcer: has them poll at once.
        queue: the task queue.
        throttle: what was set; its transaction has been committed.
    """

    def __init__(
        self, roster: Roster, announcer: Announcer, queue: str, throttle: Throttle
    ) -> None:
        self._roster = roster
        self._announcer = announcer
        self._queue = queue
        self._throttle = throttle
        self._claiming: set[str] | None = None  # transactions that may not have seen the throttle

    async def silent(self, answers: Container[str]) -> list[FunctionWorker]:
        """The workers that have not confirmed it; `answers` has the ids of those that read it.

        A pause holds when its workers have given back the runs that it is about, and no claim is
        under way that began before it.
        """
        workers = [w for w in await self._roster.function_workers() if self._concerns(w)]
        unread = [w for w in workers if str(w.member_id) not in answers]
        if unread:
            self._announcer.queue(self._queue, QueueKind.ANY, amount=0)
        if self._throttle.milliseconds >= 0 or not workers:
            return unread
        claiming = await self._roster.claiming()
        self._claiming = claiming if self._claiming is None else self._claiming & claiming
        return workers if self._claiming else [w for w in workers if w in unread or w.paused]

    def _concerns(self, worker: FunctionWorker) -> bool:
        target, name = self._throttle.target, self._throttle.name
        return target != "engines" and (target != "guid" or name == str(worker.member_id))
