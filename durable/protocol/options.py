"""What a call of an activity or workflow carries beside its arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from durable.protocol.retry import RetryPolicy

TIMEOUTS: Final = ("start_to_close", "schedule_to_close", "schedule_to_start", "heartbeat")
"""The options that limit an activity's time: arguments of decorators add `_timeout` to the name,
fields of descriptors `Timeout`, in camel case."""


@dataclass(frozen=True, slots=True)
class ActivityOptions:
    """Options of an activity, durations in seconds, None for "no limit" or "the workflow's own".

    Args:
        task_queue: the queue whose workers run it; None means the queue of the workflow.
        retry: the retry policy in force.
        start_to_close: limit of one attempt.
        schedule_to_close: limit from the first scheduling to the end, retries included.
        schedule_to_start: limit of the wait for a worker that begins the first attempt.
        heartbeat: longest silence between two heartbeats of one attempt.
        priority: larger goes first.
    """

    task_queue: str | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    start_to_close: float | None = None
    schedule_to_close: float | None = None
    schedule_to_start: float | None = None
    heartbeat: float | None = None
    priority: int = 0

    @property
    def repeatable(self) -> bool:
        """Whether an attempt whose outcome is unknown may be run again."""
        return self.retry.most > 1


@dataclass(frozen=True, slots=True)
class WorkflowOptions:
    """Options of a workflow: its queue (None: that of the caller) and its priority."""

    task_queue: str | None = None
    priority: int = 0
