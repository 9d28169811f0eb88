"""The await: starts another graph, and waits for its end unless it says `await: false`."""

from __future__ import annotations

from durable.engine.effects import Effects, Reply, StartJob
from durable.engine.job import Scene
from durable.expressions.values import truthy


def leg1(scene: Scene) -> Effects:
    """Start the graph that subscribes to the topic with the mapped input."""
    data = scene.data(scene.node.input)
    topic = scene.text(scene.node.topic, "topic")
    awaited = truthy(scene.value(scene.node.awaits, default=True))
    return Effects((StartJob(topic, data, awaited),), input=data)


def leg2(scene: Scene, reply: Reply) -> Effects:  # noqa: ARG001 - every handler has this shape
    """The job's data is the answer; its error is the activity's error."""
    return Effects(answer=reply.answer())
