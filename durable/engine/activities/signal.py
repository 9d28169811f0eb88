"""The signal: tells hooks that wait somewhere, as somebody from outside would."""

from __future__ import annotations

from durable.descriptor.expressions.values import to_text, truthy
from durable.descriptor.queries import JobsQuery
from durable.engine.effects import Answer, Effects, Everyone, Reply, SendSignal
from durable.engine.job import Scene
from durable.errors import DescriptorError, InternalError
from durable.protocol.codes import OK


def leg1(scene: Scene) -> Effects:
    """Send the signal and go on."""
    node = scene.node
    signal = SendSignal(
        scene.text(node.topic, "topic"),
        scene.data(node.signal),
        str(scene.value(node.status, "success")),
        scene.code(node.code, OK),
        _everyone(scene) if node.to_all else None,
    )
    return Effects((signal,), answer=Answer(), input=signal.data)


def leg2(scene: Scene, reply: Reply) -> Effects:
    """Nothing is ever addressed to a signal activity."""
    raise InternalError(
        f"a {reply.kind} arrived for signal {scene.node.id!r} of job {scene.job.jid!r}"
    )


def _everyone(scene: Scene) -> Everyone:
    """The jobs with the facet that `key_name` and `key_value` name."""
    node = scene.node
    value = scene.value(node.key_value)
    if not isinstance(value, str | bool | int | float):
        raise DescriptorError(
            f"activity {node.id!r}: its key_value must be text, a number or a boolean, and is"
            f" {value!r:.100} in job {scene.job.jid!r}"
        )
    query = scene.data(node.resolver)
    if truthy(scene.value(node.scrub, default=False)):
        query["scrub"] = True
    JobsQuery.of(query)  # what makes no sense fails here, where it is written
    return Everyone((f"{node.key_name}:{to_text(value)}",), query, scene.now)
