"""Options as users give them: to a decorator, and to one call by `.options(…)`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypedDict

from durable.errors import ConfigurationError
from durable.protocol.durations import NEVER, Duration, seconds
from durable.protocol.limits import check_name, check_priority
from durable.protocol.options import TIMEOUTS, ActivityOptions, WorkflowOptions
from durable.protocol.retry import RetryPolicy


class ActivityOverrides(TypedDict, total=False):
    """What `activity.options(…)` takes; durations are seconds, `timedelta` or text.

    Keys:
        task_queue: the queue whose workers run it; None means the queue of the workflow.
        retry: the retry policy.
        start_to_close_timeout: limit of one attempt; None means no limit, here and below.
        schedule_to_close_timeout: limit from the first scheduling to the end, retries included.
        schedule_to_start_timeout: limit of the wait for a worker.
        heartbeat_timeout: longest silence between two heartbeats of one attempt.
        priority: larger goes first; 0 unless given.
    """

    task_queue: str | None
    retry: RetryPolicy
    start_to_close_timeout: Duration | None
    schedule_to_close_timeout: Duration | None
    schedule_to_start_timeout: Duration | None
    heartbeat_timeout: Duration | None
    priority: int


class ActivityDeclaration(ActivityOverrides, total=False):
    """What `@activity(…)` takes: the overrides, and `name` (the function's own unless given)."""

    name: str


class WorkflowDeclaration(TypedDict, total=False):
    """What `@workflow(…)` takes.

    Keys:
        name: the function's own unless given.
        task_queue: the queue of its turns; None means that of the caller.
        priority: larger goes first; 0 unless given.
    """

    name: str
    task_queue: str | None
    priority: int


class WorkflowOverrides(TypedDict, total=False):
    """What `workflow.options(…)` takes: see `WorkflowDeclaration`; `id` is that of the run."""

    id: str | None
    task_queue: str | None
    priority: int


_TIMEOUTS = {f"{name}_timeout": name for name in TIMEOUTS}


def activity_options(
    base: ActivityOptions, given: ActivityOverrides, caller: str
) -> ActivityOptions:
    """`base` with what is given; `caller` begins the message of a `ConfigurationError`."""
    _check_names(given, ActivityOverrides, caller)
    changes: dict[str, Any] = dict(given)
    for option, field in _TIMEOUTS.items():
        if option in changes:
            changes[field] = _timeout(option, changes.pop(option), caller)
    if not isinstance(changes.get("retry", base.retry), RetryPolicy):
        raise ConfigurationError(
            f"{caller}: retry={changes['retry']!r} is no RetryPolicy:"
            " write retry=durable.RetryPolicy(maximum_attempts=…)"
        )
    _check_placement(changes, caller)
    return dataclasses.replace(base, **changes)


def named(given: ActivityOverrides | WorkflowOverrides) -> frozenset[str]:
    """The options that are given, by the names of `ActivityOptions` and `WorkflowOptions`.

    Example:
        >>> sorted(named({"heartbeat_timeout": 5, "priority": 1}))
        ['heartbeat', 'priority']
    """
    return frozenset(_TIMEOUTS.get(name, name) for name in given) - {"id"}


def workflow_options(
    base: WorkflowOptions, given: WorkflowOverrides, caller: str
) -> WorkflowOptions:
    """`base` with what is given, `id` left aside; `caller` begins the message of an error."""
    _check_names(given, WorkflowOverrides, caller)
    changes: dict[str, Any] = {key: value for key, value in given.items() if key != "id"}
    _check_placement(changes, caller)
    return dataclasses.replace(base, **changes)


def _check_names(given: Mapping[str, object], declared: type, caller: str) -> None:
    unknown = sorted(given.keys() - declared.__annotations__.keys())
    if unknown:
        raise ConfigurationError(
            f"{caller}: there is no option {', '.join(unknown)};"
            f" there are {', '.join(sorted(declared.__annotations__))}"
        )


def _check_placement(changes: Mapping[str, object], caller: str) -> None:
    if changes.get("task_queue") is not None:
        queue = check_name("task_queue", changes["task_queue"], caller)
        if queue.startswith("{"):
            raise ConfigurationError(
                f"{caller}: task_queue={queue!r}: a brace begins a reference in the generated"
                " graph; choose another name"
            )
    check_priority(changes.get("priority", 0), caller)


def _timeout(option: str, value: Duration | None, caller: str) -> float | None:
    if value is None:
        return None
    try:
        result = seconds(value)
    except ConfigurationError as error:
        raise ConfigurationError(f"{caller}: {option}: {error}") from error
    if result == 0:
        raise ConfigurationError(
            f"{caller}: {option}={value!r} leaves no time; None means no limit"
        )
    return None if result >= NEVER else result
