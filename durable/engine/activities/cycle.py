"""The cycle: the job goes on at an ancestor, in a new dimension."""

from __future__ import annotations

from durable.engine.effects import LegResult, Reenter, Reply
from durable.engine.job import ActivityContext
from durable.errors import InternalError


def leg1(context: ActivityContext) -> LegResult:
    """Hand the mapped input to the ancestor, as its next answer."""
    if context.node.cycles_to is None:
        raise InternalError(f"cycle {context.node.id!r} has no ancestor")
    data = context.data(context.node.input)
    return LegResult((Reenter(context.node.cycles_to, data),), input=data)


def leg2(context: ActivityContext, reply: Reply) -> LegResult:
    """Fail: a cycle answers at once and receives no replies."""
    raise InternalError(
        f"a {reply.kind} arrived for cycle {context.node.id!r} of job {context.job.jid!r}"
    )
