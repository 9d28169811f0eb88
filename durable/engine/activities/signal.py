"""The signal: tells a hook that waits somewhere, as somebody from outside would."""

from __future__ import annotations

from durable.engine.effects import Answer, Effects, Reply, SendSignal
from durable.engine.job import Scene
from durable.errors import InternalError
from durable.protocol.codes import OK


def leg1(scene: Scene) -> Effects:
    """Send the signal and go on."""
    node = scene.node
    signal = SendSignal(
        scene.text(node.topic, "topic"),
        scene.data(node.signal),
        str(scene.value(node.status, "success")),
        scene.code(node.code, OK),
    )
    return Effects((signal,), answer=Answer(), input=signal.data)


def leg2(scene: Scene, reply: Reply) -> Effects:
    """Nothing is ever addressed to a signal activity."""
    raise InternalError(
        f"a {reply.kind} arrived for signal {scene.node.id!r} of job {scene.job.jid!r}"
    )
