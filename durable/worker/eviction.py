"""How a run leaves this process before its end: suspended, given back, or released to try again.

It is suspended only for its own fault: code that does not fit its history, a payload that Postgres
refuses. Whatever else went wrong is no reason to stop it for good: it is released, and tried again
by whoever claims it, later each time. What was done and is on disk nowhere goes into its inbox
first, so that nothing is done again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from durable.codec.failures import failure_of
from durable.errors import DatabaseError, InternalError
from durable.postgres.errors import StatementFault
from durable.postgres.retrying import retry_until_connected
from durable.protocol.facts import UnknownKind
from durable.runtime.clocks import MemberClock
from durable.runtime.notifications import QueueKind
from durable.runtime.supervision import Tasks
from durable.store.activities import Settlement
from durable.telemetry.logs import logger
from durable.worker import reports
from durable.worker.active_run import ActiveRun
from durable.worker.settlements import AttemptSettler
from durable.worker.worker_services import WorkerServices

_ENVIRONMENT = (DatabaseError, InternalError, MemoryError, OSError)


def is_own_fault(error: BaseException, *, of_turn: bool) -> bool:
    """Whether an error is the run's own: its code, its history or its data are at fault.

    What a turn raises (`of_turn`) comes from replaying it, and would come again, unless it is
    about this process; of what a commit raises, only what Postgres says of the data is.

    >>> is_own_fault(StatementFault("22P02"), of_turn=False)
    True
    >>> is_own_fault(DatabaseError("42P01"), of_turn=False)
    False
    """
    if isinstance(error, StatementFault):
        return True
    return of_turn and not isinstance(error, _ENVIRONMENT)


class Releases:
    """Runs on their way out.

    Args:
        services: the streams.
        answers: what becomes of results in hand.
        queue: the task queue whose workers are told of runs that are free.
        clock: the database's time.
        member: who holds the runs.
        tasks: where it is done.
    """

    def __init__(
        self, services: WorkerServices, answers: AttemptSettler, queue: str, clock: MemberClock,
        member: Callable[[], int], tasks: Tasks,
    ) -> None:  # fmt: skip
        self._services = services
        self._answers = answers
        self._queue = queue
        self._clock, self._member = clock, member
        self._tasks = tasks
        self.going: set[int] = set()  # while it is under way nobody takes a run for a forgotten one

    def let_go(self, held: ActiveRun, error: BaseException, *, of_turn: bool) -> None:
        """The run cannot go on here; nothing of its turn is written."""
        if isinstance(error, UnknownKind):
            self._start(held, "release", lambda: self._release(held, error))
        elif is_own_fault(error, of_turn=of_turn):
            self._start(held, "suspend", lambda: self._suspend(held, error))
        else:
            logger.error(
                "run %s could not go on, and is released: %s", held.claimed.jid, error,
                exc_info=error,
            )  # fmt: skip
            self._start(held, "release", lambda: self._release(held, error))

    def give_back(self, held: ActiveRun) -> None:
        """A fence refused the run: whoever claims it next reads how it stands."""
        self._start(held, "give back", lambda: self._give_back(held))

    def rescue(self, held: ActiveRun) -> None:
        """Save what is in hand of a run that is held anew."""
        self._tasks.once(
            f"rescue of {held.claimed.jid}", lambda: self._rescue(held), otherwise=self._failed
        )

    def unread(self, run_id: int, error: Exception) -> None:
        """What a claimed run has behind it cannot be read."""
        if not isinstance(error, UnknownKind):
            logger.error("the history of run %d cannot be read: %s", run_id, error, exc_info=error)
        self._begin(run_id, f"release {run_id}", lambda: self._free(run_id, error))

    def _start(
        self, held: ActiveRun, what: str, action: Callable[[], Coroutine[object, object, None]]
    ) -> None:
        self._begin(held.claimed.run_id, f"{what} {held.claimed.jid}", action)

    def _begin(
        self, run_id: int, name: str, action: Callable[[], Coroutine[object, object, None]]
    ) -> None:
        self.going.add(run_id)
        task = self._tasks.once(name, action, otherwise=self._failed)
        task.add_done_callback(lambda _: self.going.discard(run_id))

    def _failed(self, _name: str, _error: BaseException) -> None:
        """It has been logged; the reconciler finds what is still reserved, and frees it."""

    async def _suspend(self, held: ActiveRun, error: BaseException) -> None:
        await self._rescue(held)
        claimed, runs, failure = held.claimed, self._services.runs, failure_of(error)
        if await retry_until_connected(
            lambda: runs.suspend(self._member(), claimed.run_id, held.revision, failure.to_json())
        ):
            reports.run_suspended(claimed, error)  # now the table says so, too
        else:
            await self._free_now(claimed.run_id)  # the history has gone on without us

    async def _release(self, held: ActiveRun, error: BaseException) -> None:
        await self._rescue(held)
        await self._free(held.claimed.run_id, error)

    async def _give_back(self, held: ActiveRun) -> None:
        await self._rescue(held)
        await self._free_now(held.claimed.run_id)

    async def _free(self, run_id: int, error: BaseException) -> None:
        runs, failure = self._services.runs, failure_of(error)
        later = isinstance(error, UnknownKind)  # another build can go on with it, however late
        released = await retry_until_connected(
            lambda: runs.release_run(self._member(), run_id, failure.to_json(), for_good=later)
        )
        if released is None:
            return
        if released.suspended:
            logger.error(
                "run %d was released %d times in a row, and is suspended: %s",
                run_id, released.times, failure.message,
            )  # fmt: skip
        else:
            if later:
                logger.warning("run %d is given back for %.0f s: %s", run_id, released.delay, error)
            asyncio.get_running_loop().call_later(released.delay, self._announce)

    async def _free_now(self, run_id: int) -> None:
        now = self._clock.now()
        if await retry_until_connected(
            lambda: self._services.runs.give_back(self._member(), {run_id: now})
        ):
            self._announce()

    def _announce(self) -> None:
        self._services.announcer.queue(self._queue, QueueKind.TURN)

    async def _rescue(self, held: ActiveRun) -> None:
        """Put results that no commit has written into the inbox: nothing done is done again."""
        await self._answers.settle(
            [Settlement(message, data, None) for message, data in held.in_hand()]
        )
        for attempt, outcome in held.outcomes:
            message = attempt.id if attempt.id is not None else held.messages.get(attempt.number)
            if message is not None:
                await self._answers.elsewhere(attempt, message, outcome)


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
