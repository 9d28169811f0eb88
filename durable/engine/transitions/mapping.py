"""What an answer writes: the activity's own data, and what the job shares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from durable.descriptor.plan import Node
from durable.engine.effects import Answer
from durable.engine.job import Instance, Scene


def settled(scene: Scene, answer: Answer) -> Instance:
    """The instance that holds an answer, `output.maps` merged over the data.

    `scene.dad` is the answer's own address.
    """
    answered = _instance(scene, answer)
    maps = scene.node.output
    if maps is None or not answer.remapped:
        return answered
    mapped = seeing(scene, answered).data(maps)
    return replace(answered, output={**(answered.output or {}), **mapped})


def seeing(scene: Scene, answered: Instance) -> Scene:
    """The same scene once the activity has answered so."""

    def find(node: Node, dad: str) -> Instance | None:
        return answered if node is scene.node else scene.find(node, dad)

    return replace(scene, find=find)


def _instance(scene: Scene, answer: Answer) -> Instance:
    before = scene.find(scene.node, scene.dad)
    fresh = before or Instance(scene.node.id, scene.dad, opened_at=scene.now)
    return replace(
        fresh,
        code=answer.code,
        output=answer.data if answer.section == "output" else fresh.output,
        hook=answer.data if answer.section == "hook" else fresh.hook,
        error=answer.error,
        settled_at=scene.now,
    )


def shared(scene: Scene) -> dict[str, Any]:
    """The job's data once `job.maps` have been written into it."""
    return {**scene.job.data, **scene.data(scene.node.job)}
