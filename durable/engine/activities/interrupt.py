"""The interrupt: ends its own job, or another one, and in that case goes on."""

from __future__ import annotations

from durable.descriptor.expressions.values import truthy
from durable.engine.effects import (
    Answer,
    Interrupt,
    Interruption,
    LegResult,
    Reply,
)
from durable.engine.job import ActivityContext
from durable.errors import InternalError
from durable.protocol.codes import INTERRUPTED
from durable.protocol.durations import seconds


def leg1(context: ActivityContext) -> LegResult:
    """Interrupt the job itself, or the one that `target` names."""
    node = context.node
    how = Interruption(
        reason=str(context.value(node.reason, "")),
        code=context.code(node.code, INTERRUPTED),
        throws=truthy(context.value(node.throw, default=True)),
        descend=truthy(context.value(node.descend, default=False)),
        stack=str(context.value(node.stack, "")),
        expire=_expire(context),
    )
    if node.target is None:
        return LegResult((Interrupt(None, how),), answer=Answer())
    return LegResult((Interrupt(context.text(node.target, "target"), how),), answer=Answer())


def _expire(context: ActivityContext) -> float | None:
    found = context.value(context.node.expire)
    if found is None:
        return None
    if isinstance(found, (int, float)) and found <= 0:
        return float(found)
    return seconds(found)


def leg2(context: ActivityContext, reply: Reply) -> LegResult:
    """Nothing is ever addressed to an interrupt activity."""
    raise InternalError(
        f"a {reply.kind} arrived for interrupt {context.node.id!r} of job {context.job.jid!r}"
    )
