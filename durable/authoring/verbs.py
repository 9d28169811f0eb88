"""Verbs for workflow code: what it does with time, chance and itself, the same at each replay."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable
from datetime import datetime
from random import Random

from durable.errors import misplaced
from durable.protocol.durations import Duration, wait_seconds
from durable.replay.context import Context, WorkflowInfo, current

_INFO = (
    "pass an activity what it needs of it, such as durable.info().id, as an argument; elsewhere ask"
    " a handle: `await handle.describe()`"
)


async def sleep(duration: Duration) -> None:
    """Wait for this long, restarts included: seconds, `timedelta`, or text such as "30 days".

    What is negative is over at once; what would end after the year 9999, as `math.inf`, never ends.
    """
    context = inside("durable.sleep()", "elsewhere use asyncio.sleep()")
    await context.sleep(wait_seconds(duration))


async def wait_until(
    predicate: Callable[[], bool],
    timeout: Duration | None = None,  # noqa: ASYNC109 - the fixed public name
) -> None:
    """Wait until `predicate()` is true; it looks at the workflow's own variables and nothing else.

    It is asked again whenever the run has moved. Raises `TimeoutError` when `timeout` (seconds,
    `timedelta` or text) runs out.
    """
    context = inside("durable.wait_until()", "elsewhere use an asyncio.Condition")
    await context.wait_until(predicate, None if timeout is None else wait_seconds(timeout))


def now() -> datetime:
    """The run's time, aware, UTC: that of what woke it; it stands still until the code waits."""
    return inside("durable.now()", "elsewhere use datetime.now(UTC)").now()


def random() -> Random:
    """The run's own random numbers, the same at each replay; not for secrets."""
    return inside("durable.random()", "elsewhere use the random module").random()


def uuid4() -> uuids.UUID:
    """A random UUID from `random()`."""
    return inside("durable.uuid4()", "elsewhere use uuid.uuid4()").uuid4()


def info() -> WorkflowInfo:
    """The run itself: its id, workflow, task queue, start and parent, and how far it has come."""
    return inside("durable.info()", _INFO).info()


def inside(what: str, instead: str) -> Context:
    """The run whose code this is.

    Args:
        what: what was called, for the message.
        instead: what to do outside of a workflow.
    """
    context = current()
    if context is None:
        raise misplaced(f"{what} works only in the code of a running workflow: {instead}")
    return context
