"""What follows from attempts that have rows: the run hears their end, or another is written.

The rows are settled one statement each, fenced by member and message, whoever holds the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from durable.postgres.errors import StatementFault
from durable.postgres.retrying import retry_until_connected
from durable.protocol.clock import Clock
from durable.protocol.commands import StartActivity
from durable.protocol.commits import Intent
from durable.protocol.facts import Fact, FactKind
from durable.protocol.failures import Failure, step_failed
from durable.runtime.notifications import QueueKind
from durable.store.activities import Attempt, FailedAttempt, Settlement
from durable.store.runs import ClaimedRun, Reached
from durable.worker import reports
from durable.worker.active_run import ActiveRun
from durable.worker.attempts import Outcome, timed_out
from durable.worker.reports import attempt_failed, step_overdue
from durable.worker.turns import Arrived, Retry
from durable.worker.worker_services import WorkerServices


class AttemptSettler:
    """Sends the answers of one member.

    Args:
        services: the streams, and whom to tell.
        clock: the database's time.
        member: the id under which this process holds rows now.
    """

    def __init__(self, services: WorkerServices, clock: Clock, member: Callable[[], int]) -> None:
        self._services = services
        self._clock = clock
        self._member = member
        self._pending: set[int] = set()

    def pending(self, message: int) -> bool:
        """Whether the answer of a message is on its way: its row is not to be let go of."""
        return message in self._pending

    async def fail(self, attempt: Attempt, message: int, failure: Failure) -> None:
        """End a failed attempt's row and write the next, or tell the run that it was the last."""
        now = self._clock.now()
        delay = attempt.delay_after(failure, now)
        attempt_failed(attempt, failure, delay, now)
        error = failure.to_json()
        if delay is None:
            await self.settle([Settlement(message, None, error)])
            return
        with self._answering([message]):
            try:
                written = await self._retry(FailedAttempt(message, error, delay))
            except StatementFault as refused:
                error = _unwritable(refused).to_json()
                written = await self._retry(FailedAttempt(message, error, delay))
        for queue, _ in written:
            self._services.announcer.queue(queue, QueueKind.ACTIVITY)

    async def _retry(self, failed: FailedAttempt) -> list[tuple[str, datetime]]:
        return await retry_until_connected(
            lambda: self._services.activities.retry(self._member(), [failed])
        )

    async def elsewhere(self, attempt: Attempt, message: int, outcome: Outcome) -> None:
        """The run is held by another member, or by none: its inbox takes the answer."""
        if outcome.abandoned:
            return
        if outcome.failure is not None:
            await self.fail(attempt, message, outcome.failure)
        else:
            await self.settle([Settlement(message, outcome.data, None)])

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """End attempts for good."""
        if not settlements:
            return
        with self._answering([s.id for s in settlements]):
            for _, who in await self._settled(settlements):
                if who is not None:
                    self._tell(who)

    async def _settled(self, settlements: Sequence[Settlement]) -> list[tuple[int, Reached | None]]:
        """What Postgres refuses to write of one attempt becomes its failure, and no other's."""
        try:
            return await retry_until_connected(
                lambda: self._services.activities.settle(self._member(), settlements)
            )
        except StatementFault as refused:
            if len(settlements) == 1:
                failed = Settlement(settlements[0].id, None, _unwritable(refused).to_json())
                return await retry_until_connected(
                    lambda: self._services.activities.settle(self._member(), [failed])
                )
        found = []
        for settlement in settlements:
            found += await self._settled([settlement])
        return found

    async def overdue(
        self, claimed: ClaimedRun, step: StartActivity, kind: str, limit: float
    ) -> None:
        """A step's limit has come: if no worker runs it, it has failed."""
        failure = timed_out(step.name, kind, limit)
        run_id, error = claimed.run_id, failure.to_json()
        reached = await retry_until_connected(
            lambda: self._services.activities.overdue(run_id, step.number, kind, error)
        )
        if reached:
            step_overdue(claimed, step, failure)
        for who in reached:
            self._tell(who)

    def _tell(self, who: Reached) -> None:
        self._services.announcer.arrived(who.run_id, who.holder, who.queue)

    @contextmanager
    def _answering(self, messages: list[int]) -> Iterator[None]:
        self._pending.update(messages)
        try:
            yield
        finally:
            self._pending.difference_update(messages)


def _unwritable(refused: StatementFault) -> Failure:
    """What became of an attempt cannot be written down: neither will the next attempt's be."""
    return Failure(
        type="PayloadError", kind="payload", non_retryable=True,
        message=f"what the activity returned or raised cannot be stored: {refused}",
    )  # fmt: skip


def bring(
    held: ActiveRun, attempt: Attempt, outcome: Outcome, message: int | None, now: float
) -> None:
    """Note how an attempt ended, for the next turn of its run; `message` is its row, if any."""
    failure = outcome.failure
    if failure is not None:
        delay = attempt.delay_after(failure, now)
        reports.attempt_failed(attempt, failure, delay, now)
        if delay is not None:
            held.retries.append(Retry(attempt.number, attempt, failure, delay))
            return
    fact = Fact(
        FactKind.ACTIVITY, now, attempt.number, attempt.name, outcome.data,
        None if failure is None
        else step_failed("activity", attempt.name, attempt.attempt, failure),
        attempt.input,
    )  # fmt: skip
    failed = None
    if failure is not None:
        queue = attempt.options.task_queue or held.claimed.queue
        failed = Intent(
            attempt.number, attempt.name, queue, attempt.input, attempt.options,
            attempt.attempt, failure=failure, dead=True, topic=attempt.topic,
        )  # fmt: skip
    held.messages.pop(attempt.number, None)
    held.arrived.append(Arrived(fact, message=message, failed=failed))
