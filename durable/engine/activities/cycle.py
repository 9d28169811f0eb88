"""The cycle: the job goes on at an ancestor, in a new dimension."""

from __future__ import annotations

from durable.engine.effects import Effects, Reenter, Reply
from durable.engine.job import Scene
from durable.errors import InternalError


def leg1(scene: Scene) -> Effects:
    """Hand the mapped input to the ancestor, as its next answer."""
    if scene.node.cycles_to is None:
        raise InternalError(f"cycle {scene.node.id!r} has no ancestor")
    data = scene.data(scene.node.input)
    return Effects((Reenter(scene.node.cycles_to, data),), input=data)


def leg2(scene: Scene, reply: Reply) -> Effects:
    """Nothing is ever addressed to a cycle."""
    raise InternalError(
        f"a {reply.kind} arrived for cycle {scene.node.id!r} of job {scene.job.jid!r}"
    )
