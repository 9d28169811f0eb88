"""What follows from attempts that have rows: their run is notified, or a retry is written.

The rows are settled one statement each, fenced by member and message, whether or not
the run is held here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from durable.postgres.errors import StatementFault
from durable.postgres.retries import retry_until_connected
from durable.protocol.commands import StartActivity
from durable.protocol.failures import Failure
from durable.runtime.notifications import QueueKind
from durable.store.activities import Attempt, FailedAttempt, Settlement
from durable.store.runs import ClaimedRun, Reached
from durable.worker.attempt_code import Outcome, timed_out
from durable.worker.reports import attempt_failed, step_overdue
from durable.worker.worker_context import WorkerContext


class AttemptSettler:
    """Settles the attempts of one member."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._activities = context.services.activities

    def submit(self, attempt: Attempt, message: int, outcome: Outcome) -> None:
        """Settle an attempt in the background; its row counts as known until that is done."""
        self._context.actions.begin(
            message, f"answer of attempt {message}", lambda: self.end(attempt, message, outcome)
        )

    async def end(self, attempt: Attempt, message: int, outcome: Outcome) -> None:
        """End an attempt's row: with its result, its last failure, or a retry after it."""
        if outcome.abandoned:
            return
        if outcome.failure is None:
            await self.settle([Settlement(message, outcome.data, None)])
            return
        failed = after_failure(attempt, message, outcome.failure, self._context.clock.now())
        if isinstance(failed, Settlement):
            await self.settle([failed])
            return
        try:
            written = await self._retry(failed)
        except StatementFault as refused:
            written = await self._retry(replace(failed, error=unwritable(refused)))
        for queue, _ in written:
            self._context.services.announcer.queue(queue, QueueKind.ACTIVITY)

    async def _retry(self, failed: FailedAttempt) -> list[tuple[str, datetime]]:
        return await retry_until_connected(
            lambda: self._activities.retry(self._context.member, [failed])
        )

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """End attempts for good."""
        if settlements:
            for _, run in await self._settled(settlements):
                if run is not None:
                    self._notify(run)

    async def _settled(self, settlements: Sequence[Settlement]) -> list[tuple[int, Reached | None]]:
        """What Postgres refuses to write of one attempt becomes its failure, and no other's."""
        try:
            return await retry_until_connected(
                lambda: self._activities.settle(self._context.member, settlements)
            )
        except StatementFault as refused:
            if len(settlements) == 1:
                failed = Settlement(settlements[0].id, None, unwritable(refused))
                return await retry_until_connected(
                    lambda: self._activities.settle(self._context.member, [failed])
                )
        found = []
        for settlement in settlements:
            found += await self._settled([settlement])
        return found

    async def overdue(
        self, claimed: ClaimedRun, step: StartActivity, kind: str, limit: float
    ) -> None:
        """A step's limit has passed: if no worker runs it, it has failed."""
        failure = timed_out(step.name, kind, limit)
        run_id, error = claimed.run_id, failure.to_json()
        reached = await retry_until_connected(
            lambda: self._activities.overdue(run_id, step.number, kind, error)
        )
        if reached:
            step_overdue(claimed, step, failure)
        for run in reached:
            self._notify(run)

    def _notify(self, run: Reached) -> None:
        self._context.services.announcer.arrived(run.run_id, run.holder, run.queue)


def after_failure(
    attempt: Attempt, message: int, failure: Failure, now: float
) -> Settlement | FailedAttempt:
    """What a failed attempt's row becomes, logged: its last failure, or a retry after it."""
    delay = attempt.delay_after(failure, now)
    attempt_failed(attempt, failure, delay, now)
    if delay is None:
        return Settlement(message, None, failure.to_json())
    return FailedAttempt(message, failure.to_json(), delay)


def unwritable(refused: StatementFault) -> str:
    """The failure, as JSON, of an attempt whose outcome Postgres refuses to store."""
    return Failure(
        type="PayloadError", kind="payload", non_retryable=True,
        message=f"what the activity returned or raised cannot be stored: {refused}",
    ).to_json()  # fmt: skip
