"""Claiming what a task queue holds; of many workers, as many claim as there is work for.

A notification reaches every worker of a queue. If all of them claimed, twenty would ask the
database for the one message that one of them gets. So each works out, from the notification
and from its own rank among them, whether it comes first. A few more claim a moment later, in
case the first are busy, and take only what has been waiting: what is new by then belongs to others.
If all of them are busy, the sweep notifies every worker.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from durable.runtime.notifications import QueueKind, QueueNews, queue_news
from durable.store.activities import Attempt
from durable.store.membership import Membership
from durable.worker.attempts import Attempts
from durable.worker.reconciler import WorkerReconciler
from durable.worker.registry import Registry
from durable.worker.run_loader import RunLoader
from durable.worker.throttles import ThrottledClaims
from durable.worker.worker_context import WorkerContext
from durable.worker.workflow_worker import WorkflowWorker

CLAIM_MAX = 500  # one claim's worth: more only delays the first
CLAIM_AHEAD = 50  # runs that may have to go for others: so many, and two for each that came last
GATHER = 0.003  # seconds between two claims of runs, unless the first one left some
TURNS = 50  # runs that one worker takes at once; of activities each may be long, and fill a worker
BEHIND = 3  # workers that claim a moment later
MOMENT = 0.02  # seconds
# Seconds; a worker that claims a moment later takes what has been due for so long: what the first
# ones missed is no younger.
WAITING = MOMENT / 2


@dataclass(frozen=True, slots=True)
class Rank:
    """A worker's place among those of its queue: `rank` of 0 … `of` - 1."""

    rank: int = 0
    of: int = 1


def claim_delay(rank: Rank, news: QueueNews) -> float | None:
    """Seconds after which a worker claims; None: others do.

    Args:
        rank: the worker's; it may be out of date, since the sweep notifies those that are missed.
        news: a kind of message, and unless it is for all workers how many there are, and a number
            by which the first rank moves on.

    >>> one = QueueNews(QueueKind.TURN, 1, 40)
    >>> claim_delay(Rank(0, 20), one), claim_delay(Rank(2, 20), one), claim_delay(Rank(7, 20), one)
    (0.0, 0.02, None)
    >>> claim_delay(Rank(7, 20), QueueNews(QueueKind.TURN))
    0.0
    """
    if not news.amount:
        return 0.0
    ahead = news.amount // TURNS if news.kind is QueueKind.TURN else news.amount - 1
    behind = (rank.rank - news.number) % rank.of - ahead
    return 0.0 if behind <= 0 else MOMENT if behind <= BEHIND else None


class WakeEvent:
    """Set when there may be messages to claim: all that are due, or those that have been waiting.

    Example:
        >>> event = WakeEvent()
        >>> event.set()  # doctest: +SKIP
        >>> await event.wait()  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._waiting = WAITING
        self._set = asyncio.Event()
        self._late: asyncio.TimerHandle | None = None
        self._again = False

    def set(self) -> None:
        """Have what is due claimed."""
        self._waiting = 0.0
        self._set.set()

    def set_later(self, delay: float) -> None:
        """Have what is still there after `delay` seconds claimed; called again, once more later."""
        self._again = self._late is not None
        if self._late is None:
            self._late = asyncio.get_running_loop().call_later(delay, self._set_late, delay)

    def _set_late(self, delay: float) -> None:
        self._late = None
        self._set.set()
        if self._again:
            self.set_later(delay)

    async def wait(self) -> None:
        """Wait until it has been set since `drain`."""
        await self._set.wait()

    def drain(self) -> float:
        """What the claim that follows is to take: messages due for so many seconds."""
        self._set.clear()
        waiting, self._waiting = self._waiting, WAITING
        return waiting


class Claims:
    """Claims turns and attempts for one worker.

    Attributes:
        poll_now: set when a claim that came a moment later found nothing, since what it was called
            for may become due within the second; and when every worker is to look.
    """

    def __init__(
        self, context: WorkerContext, membership: Membership, registry: Registry,
        workflows: WorkflowWorker, attempts: Attempts, reconciler: WorkerReconciler,
    ) -> None:  # fmt: skip
        self.poll_now = asyncio.Event()
        self._context = context
        self._membership = membership
        self._workflows = workflows
        self._attempts = attempts
        self._flights = reconciler.flights
        self._loader = RunLoader(context, workflows)
        self._turns = WakeEvent()
        self._due = WakeEvent()
        self._starved = False
        self._throttles = workflows.throttles
        services, queue = context.services, context.queue
        self._turn_claims = ThrottledClaims(
            self._throttles, services.runs.claim, (queue, list(registry.workflows)), self._turns.set
        )
        self._attempt_claims = ThrottledClaims(
            self._throttles, services.activities.take, (queue, list(registry.activities)),
            self._due.set,
        )  # fmt: skip
        attempts.slots.on_freed(self._slot_freed)

    def wake(self, *, turns: bool, attempts: bool) -> None:
        """Claim what is due of these."""
        if turns:
            self._turns.set()
        if attempts:
            self._due.set()

    def on_notification(self, payload: str) -> None:
        """The queue holds something new."""
        news = queue_news(payload)
        delay = None if news is None else claim_delay(Rank(*self._membership.place), news)
        if news is None or delay is None:
            return
        if news.kind is QueueKind.ANY:
            self.poll_now.set()
        for event, kind in ((self._turns, QueueKind.TURN), (self._due, QueueKind.ACTIVITY)):
            if news.kind in (kind, QueueKind.ANY):
                event.set_later(delay) if delay else event.set()

    async def claim_turns(self) -> None:
        """Claim runs and load them; to be kept running until a stop."""
        loop = asyncio.get_running_loop()
        claimed_at, ahead = 0.0, CLAIM_AHEAD
        self._turns.set()  # begun again after an error, there may be unclaimed ones
        while True:
            await self._turns.wait()
            # What comes within this time goes with one claim; after a rest the first is not late.
            await asyncio.sleep(max(0.0, claimed_at + GATHER - loop.time()))
            waiting = self._turns.drain()
            claimed_at = loop.time()
            full = True
            while full and (member := self._context.member):
                limit = self._workflows.runs.room(CLAIM_MAX, ahead)
                with self._flights.reserving():
                    claimed = await self._turn_claims.claim(member, limit, waiting)
                    self._loader.expect(claimed)
                self._flights.turned_up(c.run_id for c in claimed)
                if claimed:
                    self._membership.awake()
                    await self._loader.load(member, claimed)
                elif not waiting and not self._throttles.in_force:
                    self.poll_now.set()
                full = len(claimed) == limit
                ahead = min(CLAIM_MAX, CLAIM_AHEAD + 2 * len(claimed))

    async def claim_attempts(self) -> None:
        """Claim attempts and run them; to be kept running until a stop."""
        self._due.set()
        while True:
            await self._due.wait()
            waiting = self._due.drain()
            full = True
            while full and self._context.member:
                limit = min(CLAIM_MAX, self._attempts.free())
                self._starved = limit <= 0
                if self._starved:
                    break
                with self._flights.reserving():
                    attempts = await self._claim_attempts(limit, waiting)
                    for attempt in attempts:
                        self._attempts.start(attempt, self._workflows.finished)
                if not attempts and not waiting and not self._throttles.in_force:
                    self.poll_now.set()
                full = len(attempts) == limit
                self._workflows.slots.note_backlog(backlogged=full)

    async def _claim_attempts(self, limit: int, waiting: float) -> list[Attempt]:
        member = self._context.member
        attempts = await self._attempt_claims.claim(member, limit, waiting)
        if member != self._context.member:
            return []  # declared dead since: others have them
        if attempts:
            self._membership.awake()
        return attempts

    def _slot_freed(self) -> None:
        if self._starved:
            self._due.set()
