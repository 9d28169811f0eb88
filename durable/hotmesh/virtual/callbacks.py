"""From a worker's message to a callback with arguments, and back; and the planners of schedules."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from durable.descriptor.expressions.functions.cron import MISSING
from durable.hotmesh.settings import Callback, Message
from durable.hotmesh.virtual.context import CONTEXT, context_of
from durable.hotmesh.virtual.schedules import Schedule
from durable.protocol.codes import FAILED

Function = Callable[..., Awaitable[Any]]

EXPRESSIONS: Final = ".expressions"  # topics of planners; those of users begin with no dot
INTERVALS: Final = ".intervals"


def worker_of(function: Function) -> Callback:
    """What serves the topic of a function: it gets the arguments one by one."""

    async def call(message: Message) -> Message:
        """Answer a call or a tick."""
        data = message["data"]
        token = CONTEXT.set(context_of(message))
        try:
            response = await function(*data["args"])
        except BaseException as error:
            if "tick" in data:
                _without_code(error)
            raise
        finally:
            CONTEXT.reset(token)
        return {"data": {} if "tick" in data else {"response": response}}

    return call


def _without_code(error: BaseException) -> None:
    """Make an error one of code 500, on which schedules go on, whatever code it had."""
    with contextlib.suppress(AttributeError):
        error.code = FAILED  # type: ignore[attr-defined]


async def plan(message: Message) -> Message:
    """The moment of the next tick of a schedule."""
    data = message["data"]
    schedule = Schedule.from_dict(data["schedule"])
    due, fired = data.get("due"), data["fired"]
    return {"data": {"due": schedule.first(fired) if due is None else schedule.after(due, fired)}}


def planners() -> Mapping[str, Callback]:
    """The planners that can work in this process, by topic: expressions need their parser."""
    return MappingProxyType({INTERVALS: plan} | ({} if MISSING else {EXPRESSIONS: plan}))
