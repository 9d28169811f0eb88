"""The worker activity: sends work to a worker, and waits for the answer."""

from __future__ import annotations

from durable.engine.effects import Dispatch, LegResult, Reply
from durable.engine.job import ActivityContext


def leg1(context: ActivityContext) -> LegResult:
    """Send the mapped input to the workers of the topic."""
    data = context.data(context.node.input)
    topic = context.text(context.node.topic, "topic")
    attempts = {code: policy.most for code, policy in context.node.retries.items()}
    return LegResult((Dispatch(topic, data, context.node.retry, attempts),), input=data)


def leg2(context: ActivityContext, reply: Reply) -> LegResult:  # noqa: ARG001 - every handler has this shape
    """The worker's answer is the activity's."""
    return LegResult(answer=reply.answer())
