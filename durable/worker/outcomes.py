"""What an attempt that ran in this process brings its run: a fact, or another attempt."""

from __future__ import annotations

from durable.protocol.commits import Intent
from durable.protocol.facts import Fact, FactKind
from durable.protocol.failures import step_failed
from durable.store.activities import Attempt
from durable.worker import reports
from durable.worker.active_run import ActiveRun
from durable.worker.attempts import Outcome
from durable.worker.turns import Arrived, Retry


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
