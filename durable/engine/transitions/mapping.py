"""What an answer writes: the activity's own data, and what the job shares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from durable.engine.effects import Answer
from durable.engine.job import Instance, Instances, Scene


def settled(scene: Scene, answer: Answer) -> Instance:
    """The instance that holds an answer, `output.maps` merged over the data.

    `scene.dad` is the answer's own address.
    """
    answered = _instance(scene, answer)
    maps = scene.node.output
    if maps is None or not answer.remapped:
        return answered
    seen: Instances = {**scene.instances, (scene.dad, scene.node.id): answered}
    mapped = replace(scene, instances=seen).data(maps)
    return replace(answered, output={**(answered.output or {}), **mapped})


def _instance(scene: Scene, answer: Answer) -> Instance:
    before = scene.instances.get((scene.dad, scene.node.id))
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
