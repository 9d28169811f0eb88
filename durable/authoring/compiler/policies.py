"""Options of definitions as the descriptor writes them; what is a default is left out."""

from __future__ import annotations

from durable.descriptor.commands import TIMEOUTS
from durable.protocol.durations import Duration, seconds
from durable.protocol.options import ActivityOptions
from durable.protocol.retry import RetryPolicy

_USUAL = RetryPolicy()


def activity_fields(options: ActivityOptions) -> dict[str, object]:
    """Queue, retry policy, timeouts and priority, as far as they are given.

    Example:
        >>> activity_fields(ActivityOptions(task_queue="gpu", heartbeat=10.0))
        {'taskQueue': 'gpu', 'heartbeatTimeout': '10s'}
    """
    fields: dict[str, object] = {}
    if options.task_queue is not None:
        fields["taskQueue"] = options.task_queue
    if retry := retry_fields(options.retry):
        fields["retry"] = retry
    for key, option in TIMEOUTS.items():
        value: float | None = getattr(options, option)
        if value is not None:
            fields[key] = duration(value)
    if options.priority:
        fields["priority"] = options.priority
    return fields


def retry_fields(policy: RetryPolicy) -> dict[str, object]:
    """The policy's differences from the default one; exception classes as `module:qualname`.

    Example:
        >>> retry_fields(RetryPolicy(backoff_coefficient=2, non_retryable=(KeyError,)))
        {'backoffCoefficient': 2, 'nonRetryable': ['builtins:KeyError']}
    """
    given: dict[str, object] = {}
    if policy.maximum_attempts != _USUAL.maximum_attempts:
        given["maximumAttempts"] = policy.most
    if policy.backoff_coefficient != _USUAL.backoff_coefficient:
        given["backoffCoefficient"] = number(policy.backoff_coefficient)
    if seconds(policy.maximum_interval) != seconds(_USUAL.maximum_interval):
        given["maximumInterval"] = duration(policy.maximum_interval)
    if policy.initial_interval is not None:
        given["initialInterval"] = duration(policy.initial_interval)
    if names := [name for name in policy.non_retryable_names if name]:  # "" matches nothing
        given["nonRetryable"] = names
    return given


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
