"""The interrupt: ends its own job, or another one, and in that case goes on."""

from __future__ import annotations

from durable.descriptor.expressions.values import truthy
from durable.engine.effects import (
    Answer,
    Effects,
    Interrupt,
    Interruption,
    Reply,
)
from durable.engine.job import Scene
from durable.errors import InternalError
from durable.protocol.codes import INTERRUPTED
from durable.protocol.durations import seconds


def leg1(scene: Scene) -> Effects:
    """Interrupt the job itself, or the one that `target` names."""
    node = scene.node
    how = Interruption(
        reason=str(scene.value(node.reason, "")),
        code=scene.code(node.code, INTERRUPTED),
        throws=truthy(scene.value(node.throw, default=True)),
        descend=truthy(scene.value(node.descend, default=False)),
        stack=str(scene.value(node.stack, "")),
        expire=_expire(scene),
    )
    if node.target is None:
        return Effects((Interrupt(None, how),), answer=Answer())
    return Effects((Interrupt(scene.text(node.target, "target"), how),), answer=Answer())


def _expire(scene: Scene) -> float | None:
    found = scene.value(scene.node.expire)
    if found is None:
        return None
    if isinstance(found, (int, float)) and found <= 0:
        return float(found)
    return seconds(found)


def leg2(scene: Scene, reply: Reply) -> Effects:
    """Nothing is ever addressed to an interrupt activity."""
    raise InternalError(
        f"a {reply.kind} arrived for interrupt {scene.node.id!r} of job {scene.job.jid!r}"
    )
