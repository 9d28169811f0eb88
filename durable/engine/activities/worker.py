"""The worker: has somebody do something, and waits for the answer."""

from __future__ import annotations

from durable.engine.effects import Dispatch, Effects, Reply
from durable.engine.job import Scene


def leg1(scene: Scene) -> Effects:
    """Send the mapped input to the workers of the topic."""
    data = scene.data(scene.node.input)
    topic = scene.text(scene.node.topic, "topic")
    attempts = {code: policy.most for code, policy in scene.node.retries.items()}
    return Effects((Dispatch(topic, data, scene.node.retry, attempts),), input=data)


def leg2(scene: Scene, reply: Reply) -> Effects:  # noqa: ARG001 - every handler has this shape
    """The worker's answer is the activity's."""
    return Effects(answer=reply.answer())
