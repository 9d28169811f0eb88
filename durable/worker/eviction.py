"""How a run leaves memory before its end: evicted, given back, suspended, or released.

It is suspended only for its own fault: code that does not fit its history, a payload that Postgres
refuses. After any other error it is released, and tried again by the worker that claims it, later
each time. Results that are on disk nowhere go into its inbox first, so that nothing is done again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from durable.codec.failures import failure_of
from durable.errors import DatabaseError, InternalError
from durable.postgres.errors import StatementFault
from durable.postgres.retries import retry_until_connected
from durable.protocol.facts import UnknownKind
from durable.telemetry.logs import logger
from durable.worker import reports
from durable.worker.active_run import ActiveRun
from durable.worker.settlements import AttemptSettler
from durable.worker.worker_context import WorkerContext

SOON = 1.0  # a run given back that is due within so many seconds is announced: polls are slower

_ENVIRONMENT = (DatabaseError, InternalError, MemoryError, OSError)


class EvictionQueue:
    """Evicted runs on their way back, from their eviction until the database has them."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._waiting: dict[int, float | None] = {}  # runs to give back, and when they are due
        self._sent: dict[int, float | None] = {}  # those whose statement is under way
        self._missed: set[int] = set()  # those for which something arrived meanwhile
        self._busy = False

    def __contains__(self, run_id: int) -> bool:
        return run_id in self._waiting or run_id in self._sent

    @property
    def runs(self) -> set[int]:
        """Those that are on their way."""
        return {*self._waiting, *self._sent}

    def arrived(self, run_id: int) -> None:
        """Something arrived for a run in the queue: it has to be claimed again soon."""
        if run_id in self:
            self._missed.add(run_id)

    def add(self, run_id: int, due: float | None) -> None:
        """Give a run back; `due` is when it has something to do next, None: when it is woken."""
        self._waiting[run_id] = due
        if not self._busy:
            self._busy = True
            self._context.tasks.once("give back", self._give_back, otherwise=self._give_up)

    async def _give_back(self) -> None:
        # One batch at a time: a run may be claimed, and evicted again, before this is answered.
        while self._waiting or self._sent:
            self._sent.update(self._waiting)  # beside what an earlier try left
            self._waiting = {}
            await retry_until_connected(self._write)
            soon = self._context.clock.now() + SOON
            early = any(at is not None and at < soon for at in self._sent.values())
            if early or not self._missed.isdisjoint(self._sent):
                self._context.announce_turns(len(self._sent))
            self._missed.difference_update(self._sent)
            self._sent = {}
        self._busy = False

    async def _write(self) -> None:
        await self._context.services.runs.give_back(self._context.member, self._sent)

    def _give_up(self, _name: str, _error: BaseException) -> None:
        """Forget them all: the reconciler frees their rows."""
        self._waiting, self._sent, self._busy = {}, {}, False


class Releases:
    """Runs that cannot go on here, or were refused by a fence."""

    def __init__(self, context: WorkerContext, settler: AttemptSettler) -> None:
        self._context = context
        self._settler = settler
        self._runs = context.services.runs

    def let_go(self, run: ActiveRun, error: BaseException, *, of_turn: bool) -> None:
        """The run cannot go on here; nothing of its turn is written."""
        if not isinstance(error, UnknownKind):
            if is_own_fault(error, of_turn=of_turn):
                self._begin(run, "suspend", lambda: self._suspend(run, error))
                return
            jid = run.claimed.jid
            logger.error("run %s could not go on, and is released: %s", jid, error, exc_info=error)
        self._begin(run, "release", lambda: self._release(run, error))

    def give_back(self, run: ActiveRun) -> None:
        """A fence refused the run: the worker that claims it next reads its state."""
        self._begin(run, "give back", lambda: self._give_back(run))

    def save_results(self, run: ActiveRun) -> None:
        """Save the results of a run which has been claimed again while it was held."""
        self._begin(run, "saving of results", lambda: self._save_results(run))

    def unreadable(self, run_id: int, error: Exception) -> None:
        """The history of a claimed run cannot be read: it is released, to be tried again."""
        if not isinstance(error, UnknownKind):
            logger.error("the history of run %d cannot be read: %s", run_id, error, exc_info=error)
        self._context.actions.begin(
            run_id, f"release {run_id}", lambda: self._release_row(run_id, error)
        )

    def _begin(self, run: ActiveRun, what: str, action: Callable[[], Awaitable[object]]) -> None:
        self._context.actions.begin(run.claimed.run_id, f"{what} {run.claimed.jid}", action)

    async def _suspend(self, run: ActiveRun, error: BaseException) -> None:
        await self._save_results(run)
        run_id, failure = run.claimed.run_id, failure_of(error).to_json()
        if await retry_until_connected(
            lambda: self._runs.suspend(self._context.member, run_id, run.revision, failure)
        ):
            reports.run_suspended(run.claimed, error)  # now it is in the table, too
        else:
            await self._give_row_back(run_id)  # the history has gone on without us

    async def _release(self, run: ActiveRun, error: BaseException) -> None:
        await self._save_results(run)
        await self._release_row(run.claimed.run_id, error)

    async def _give_back(self, run: ActiveRun) -> None:
        await self._save_results(run)
        await self._give_row_back(run.claimed.run_id)

    async def _release_row(self, run_id: int, error: BaseException) -> None:
        failure = failure_of(error)
        later = isinstance(error, UnknownKind)  # another build can go on with it, however late
        released = await retry_until_connected(
            lambda: self._runs.release_run(
                self._context.member, run_id, failure.to_json(), for_good=later
            )
        )
        if released is None:
            return
        if released.suspended:
            logger.error(
                "run %d was released %d times in a row, and is suspended: %s",
                run_id, released.times, failure.message,
            )  # fmt: skip
            return
        if later:
            logger.warning("run %d is given back for %.0f s: %s", run_id, released.delay, error)
        asyncio.get_running_loop().call_later(released.delay, self._context.announce_turns)

    async def _give_row_back(self, run_id: int) -> None:
        due: dict[int, float | None] = {run_id: self._context.clock.now()}
        if await retry_until_connected(lambda: self._runs.give_back(self._context.member, due)):
            self._context.announce_turns()

    async def _save_results(self, run: ActiveRun) -> None:
        """Put results that no commit has written into the inbox: nothing done is done again."""
        await self._settler.settle(run.unsaved_results())
        for attempt, outcome in run.outcomes:
            message = run.steps.message_of(attempt)
            if message is not None:
                await self._settler.end(attempt, message, outcome)


def is_own_fault(error: BaseException, *, of_turn: bool) -> bool:
    """Whether an error is the run's own: its code, its history or its data are at fault.

    What a turn raises (`of_turn`) comes from replaying it, and would come again, unless it is
    about this process; of what a commit raises, only a refusal of its data is.

    >>> is_own_fault(StatementFault("22P02"), of_turn=False)
    True
    >>> is_own_fault(DatabaseError("42P01"), of_turn=False)
    False
    """
    if isinstance(error, StatementFault):
        return True
    return of_turn and not isinstance(error, _ENVIRONMENT)
