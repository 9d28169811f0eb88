"""The spans of the legs of activities. Tracing leaves the behaviour of jobs unchanged."""

from __future__ import annotations

from durable.descriptor.plan import Node
from durable.engine.effects import Answer
from durable.engine.job import ActivityContext, Instance
from durable.errors import ConfigurationError, DescriptorError, PayloadError
from durable.telemetry.spans import Leg, carried


def entered(context: ActivityContext) -> Leg:
    """The first leg of an activity that waits from now on."""
    return _leg(context, 1, context.now, None)


def answered(context: ActivityContext, answer: Answer, before: Instance) -> Leg:
    """The leg in which an activity answers: the second, as long as its wait, if it waited."""
    leg, began = (2, before.opened_at) if before.open else (1, context.now)
    return _leg(context, leg, began, answer)


def _leg(context: ActivityContext, leg: int, began: float, answer: Answer | None) -> Leg:
    node, job = context.node, context.job
    attributes: dict[str, object] = {
        "app.job.jid": job.jid,
        "app.job.tpc": job.graph,
        "app.job.app": job.app_id,
        "app.job.vrs": job.version,
        "app.activity.aid": node.id,
        "app.activity.atp": node.kind.value,
        "app.activity.dad": context.dad,
        "app.activity.leg": leg,
        **_own(context, node),
    }
    error = None
    if answer is not None:
        attributes["app.activity.code"] = answer.code
        error = None if answer.error is None else answer.error.message
    name = f"{node.kind.value.upper()}/{job.app_id}/{node.id}/{leg}"
    return Leg(name, began, max(context.now, began), attributes, carried(job.metadata), error)


def _own(context: ActivityContext, node: Node) -> dict[str, object]:
    """The attributes that the document defines, or the error of their evaluation as one.

    Objects and lists have no place on a span; null and undefined are left out.
    """
    if node.telemetry is None:
        return {}
    try:
        found = context.data(node.telemetry)
    except (DescriptorError, ConfigurationError, PayloadError) as error:
        return {"app.activity.telemetry.error": str(error)}
    return {f"app.activity.data.{key}": value for key, value in found.items()}
