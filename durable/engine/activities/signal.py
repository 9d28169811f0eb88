"""The signal activity: signals waiting hooks, as a caller from outside does."""

from __future__ import annotations

from durable.descriptor.expressions.values import to_text, truthy
from durable.descriptor.queries import JobsQuery
from durable.engine.effects import Answer, FacetTargets, LegResult, Reply, SendSignal
from durable.engine.job import ActivityContext
from durable.errors import DescriptorError, InternalError
from durable.protocol.codes import OK


def leg1(context: ActivityContext) -> LegResult:
    """Send the signal and go on."""
    node = context.node
    signal = SendSignal(
        context.text(node.topic, "topic"),
        context.data(node.signal),
        str(context.value(node.status, "success")),
        context.code(node.code, OK),
        _everyone(context) if node.to_all else None,
    )
    return LegResult((signal,), answer=Answer(), input=signal.data)


def leg2(context: ActivityContext, reply: Reply) -> LegResult:
    """Nothing is ever addressed to a signal activity."""
    raise InternalError(
        f"a {reply.kind} arrived for signal {context.node.id!r} of job {context.job.jid!r}"
    )


def _everyone(context: ActivityContext) -> FacetTargets:
    """The jobs with the facet that `key_name` and `key_value` name."""
    node = context.node
    value = context.value(node.key_value)
    if not isinstance(value, str | bool | int | float):
        raise DescriptorError(
            f"activity {node.id!r}: its key_value must be text, a number or a boolean, and is"
            f" {value!r:.100} in job {context.job.jid!r}"
        )
    query = context.data(node.resolver)
    if truthy(context.value(node.scrub, default=False)):
        query["scrub"] = True
    JobsQuery.of(query)  # what makes no sense fails here, where it is written
    return FacetTargets((f"{node.key_name}:{to_text(value)}",), query, context.now)
