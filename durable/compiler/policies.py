"""Options of definitions as the descriptor writes them; what is a default is left out."""

from __future__ import annotations

from pydantic import JsonValue

from durable.descriptor.parts import Retry
from durable.protocol.durations import Duration, seconds
from durable.protocol.options import ActivityOptions, WorkflowOptions
from durable.protocol.retry import RetryPolicy

_TIMEOUTS = {
    "startToCloseTimeout": "start_to_close",
    "scheduleToCloseTimeout": "schedule_to_close",
    "scheduleToStartTimeout": "schedule_to_start",
    "heartbeatTimeout": "heartbeat",
}


def retry_of(policy: RetryPolicy) -> Retry | None:
    """The policy's differences from the default one; None if there are none."""
    usual = RetryPolicy()
    given: dict[str, object] = {}
    if policy.maximum_attempts != usual.maximum_attempts:
        given["maximumAttempts"] = policy.most
    if policy.backoff_coefficient != usual.backoff_coefficient:
        given["backoffCoefficient"] = number(policy.backoff_coefficient)
    if seconds(policy.maximum_interval) != seconds(usual.maximum_interval):
        given["maximumInterval"] = duration(policy.maximum_interval)
    if policy.initial_interval is not None:
        given["initialInterval"] = duration(policy.initial_interval)
    if policy.non_retryable:
        given["nonRetryable"] = policy.non_retryable_names
    return Retry.model_validate(given) if given else None


def activity_settings(options: ActivityOptions) -> dict[str, JsonValue] | None:
    """Queue, timeouts and priority, as far as they are given."""
    settings: dict[str, JsonValue] = {}
    if options.task_queue is not None:
        settings["taskQueue"] = options.task_queue
    for key, field in _TIMEOUTS.items():
        value: float | None = getattr(options, field)
        if value is not None:
            settings[key] = duration(value)
    if options.priority:
        settings["priority"] = options.priority
    return settings or None


def workflow_settings(options: WorkflowOptions) -> dict[str, JsonValue] | None:
    """The priority, if it is given; the queue is the app's own."""
    return {"priority": options.priority} if options.priority else None


def duration(value: Duration) -> str | float:
    """A duration in the one form that equal ones share: "300s", or a number with a fraction.

    Example:
        >>> duration("5 minutes"), duration(0.25)
        ('300s', 0.25)
    """
    length = seconds(value)
    return f"{int(length)}s" if length.is_integer() else length


def number(value: float) -> float:
    """A number as people write it: 2, not 2.0."""
    return int(value) if float(value).is_integer() else value
