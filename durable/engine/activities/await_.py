"""The await: starts a graph or a workflow, and waits for its end unless it says `await: false`."""

from __future__ import annotations

from durable.descriptor.expressions.values import truthy
from durable.engine.effects import Effects, Reply, StartJob, StartWorkflow
from durable.engine.job import Scene


def leg1(scene: Scene) -> Effects:
    """Start the graph that subscribes to the topic, or the workflow of that name.

    A topic that a graph of this app has is that graph's. Else `app` names the task queue of a
    workflow.
    """
    data = scene.data(scene.node.input)
    topic = scene.text(scene.node.topic, "topic")
    awaited = truthy(scene.value(scene.node.awaits, default=True))
    own = scene.plan.app_id
    app = own if scene.node.app is None else scene.text(scene.node.app, "app")
    if scene.node.app is None or (app == own and topic in scene.plan.topics):
        return Effects((StartJob(topic, data, awaited),), input=data)
    return Effects((StartWorkflow(topic, app, data, awaited),), input=data)


def leg2(scene: Scene, reply: Reply) -> Effects:  # noqa: ARG001 - every handler has this shape
    """The job's data is the answer; its error is the activity's error."""
    return Effects(answer=reply.answer())
