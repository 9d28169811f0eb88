"""The await: starts a graph or a workflow, and waits for its end unless it says `await: false`."""

from __future__ import annotations

from durable.descriptor.expressions.values import truthy
from durable.engine.effects import LegResult, Reply, StartJob, StartWorkflow
from durable.engine.job import ActivityContext


def leg1(context: ActivityContext) -> LegResult:
    """Start the graph that subscribes to the topic, or the workflow of that name.

    A topic that a graph of this app has is that graph's. Else `app` names the task queue of a
    workflow.
    """
    data = context.data(context.node.input)
    topic = context.text(context.node.topic, "topic")
    awaited = truthy(context.value(context.node.awaits, default=True))
    own = context.plan.app_id
    app = own if context.node.app is None else context.text(context.node.app, "app")
    if context.node.app is None or (app == own and topic in context.plan.topics):
        return LegResult((StartJob(topic, data, awaited),), input=data)
    return LegResult((StartWorkflow(topic, app, data, awaited),), input=data)


def leg2(context: ActivityContext, reply: Reply) -> LegResult:  # noqa: ARG001 - every handler has this shape
    """The job's data is the answer; its error is the activity's error."""
    return LegResult(answer=reply.answer())
