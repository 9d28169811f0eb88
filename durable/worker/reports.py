"""Log records of attempts and runs that failed: each once, with fields that handlers may filter by.

The loggers are `durable.activity` and `durable.workflow`. Records carry `workflow`, `workflow_id`,
`run_id`, and of attempts `activity`, `step` and `attempt`.
"""

from __future__ import annotations

import os
from datetime import UTC, timedelta
from pathlib import Path

from durable.protocol.clock import to_datetime
from durable.protocol.commands import PutAside, StartActivity
from durable.protocol.failures import Failure, report, summary
from durable.store.activities import Attempt
from durable.store.runs import ClaimedRun
from durable.telemetry.logs import durable_logger

activity_logger = durable_logger("durable.activity")
workflow_logger = durable_logger("durable.workflow")
_OURS = f'File "{Path(__file__).parent.parent}{os.sep}'


def attempt_failed(attempt: Attempt, failure: Failure, delay: float | None, now: float) -> None:
    """An attempt failed; `delay` in seconds until the next, None: there is none."""
    if delay is None:
        then = "there is no other attempt"
    else:
        then = f"next try {_at(now, delay)} (in {delay:g} s)"
    most = attempt.options.retry.maximum_attempts or "any number"
    activity_logger.warning(
        "activity %s of run %r: attempt %d of %s of step %d failed: %s; %s",
        attempt.name, attempt.jid, attempt.attempt, most, attempt.number, _text(failure), then,
        extra={
            "workflow": attempt.workflow, "workflow_id": attempt.jid, "run_id": attempt.run_id,
            "activity": attempt.name, "step": attempt.number, "attempt": attempt.attempt,
        },
    )  # fmt: skip


def step_overdue(claimed: ClaimedRun, step: StartActivity, failure: Failure) -> None:
    """A step's limit came while no worker ran it."""
    activity_logger.warning(
        "activity %s of run %r: step %d failed: %s",
        step.name, claimed.jid, step.number, failure.message,
        extra={**_run(claimed), "activity": step.name, "step": step.number, "attempt": 0},
    )  # fmt: skip


def run_failed(claimed: ClaimedRun, failure: Failure | None) -> None:
    """The function raised: the run has ended."""
    workflow_logger.error(
        "workflow %s, run %r failed: %s",
        claimed.workflow, claimed.jid, "" if failure is None else _text(failure, traceback=True),
        extra=_run(claimed),
    )  # fmt: skip


def run_suspended(claimed: ClaimedRun, error: BaseException) -> None:
    """The run cannot go on with this code or this payload, and waits to be resumed."""
    workflow_logger.error(
        "workflow %s, run %r is suspended: %s",
        claimed.workflow, claimed.jid, error, extra=_run(claimed),
    )  # fmt: skip


def signal_put_aside(claimed: ClaimedRun, aside: PutAside) -> None:
    """A signal could not be read, and was passed over."""
    workflow_logger.warning(
        "workflow %s, run %r: the signal %r cannot be read, and was put aside: %s; when the code or"
        " the sender is right, `durable resume %s` delivers it again",
        claimed.workflow, claimed.jid, aside.name, aside.failure.message, claimed.jid,
        extra={**_run(claimed), "signal": aside.name},
    )  # fmt: skip


def _run(claimed: ClaimedRun) -> dict[str, object]:
    return {
        "workflow": claimed.workflow, "workflow_id": claimed.jid, "run_id": claimed.run_id,
    }  # fmt: skip


def _at(now: float, delay: float) -> str:
    try:
        at = to_datetime(now) + timedelta(seconds=delay)
    except OverflowError:
        return "never"
    return f"at {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _text(failure: Failure, *, traceback: bool = False) -> str:
    if traceback:
        return "\n".join(report(failure))
    where = _where(failure)
    return f"{summary(failure)} ({where})" if where else summary(failure)


def _where(failure: Failure) -> str:
    """The innermost line of the user's code, which may be that of a cause; else of ours."""
    found = ""
    at: Failure | None = failure
    while at is not None:
        lines = [line.strip() for line in at.traceback.splitlines() if line.startswith("  File ")]
        found = found or (lines[-1] if lines else "")
        if lines and not lines[-1].startswith(_OURS):
            return lines[-1]
        at = at.cause
    return found
