"""Whether, and when, a failed attempt is followed by another."""

from __future__ import annotations

from durable.protocol.failures import Failure
from durable.streams.activities import Attempt


def delay_after(attempt: Attempt, failure: Failure, now: float) -> float | None:
    """Seconds until the next attempt; None when this was the last.

    The policy decides, unless the failure forbids retries or names its own delay, or the step's
    `schedule_to_close` would be over by then.
    """
    retry = attempt.options.retry
    if attempt.last or retry.forbids(failure):
        return None
    delay = failure.next_retry_delay
    if delay is None:
        delay = retry.delay(attempt.attempt)
    limit = attempt.options.schedule_to_close
    if limit is not None and now + delay > attempt.scheduled_at + limit:
        return None
    return delay
