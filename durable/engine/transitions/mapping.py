"""What an answer writes: the activity's own data, and what the job shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from durable.descriptor.expressions.values import UNDEFINED
from durable.descriptor.plan import Node
from durable.descriptor.wildcards import Wildcard, WildcardKind
from durable.engine.effects import Answer
from durable.engine.frozen import changed
from durable.engine.job import Instance, Scene, encode, not_finite
from durable.errors import DescriptorError


def settled(scene: Scene, answer: Answer) -> Instance:
    """The instance that holds an answer, `output.maps` merged over the data.

    `scene.dad` is the answer's own address.
    """
    answered = _instance(scene, answer)
    maps = scene.node.output
    if maps is None or not answer.remapped:
        return answered
    mapped = seeing(scene, answered).data(maps)
    return changed(answered, output={**(answered.output or {}), **mapped})


def seeing(scene: Scene, answered: Instance) -> Scene:
    """The same scene once the activity has answered so."""

    def find(node: Node, dad: str) -> Instance | None:
        return answered if node is scene.node else scene.find(node, dad)

    return changed(scene, find=find)


def _instance(scene: Scene, answer: Answer) -> Instance:
    before = scene.find(scene.node, scene.dad)
    fresh = before or Instance(scene.node.id, scene.dad, opened_at=scene.now)
    return changed(
        fresh,
        code=answer.code,
        output=answer.data if answer.section == "output" else fresh.output,
        hook=answer.data if answer.section == "hook" else fresh.hook,
        error=answer.error,
        settled_at=scene.now,
    )


def shared(scene: Scene) -> dict[str, object]:
    """The job's data once `job.maps` have been written into it, slots of wildcards one by one."""
    mapped = scene.data(scene.node.job)
    if scene.node.computes and (found := not_finite(mapped)) is not None:
        raise DescriptorError(
            f"in its job.maps {found}, which JSON cannot hold: give it a value that it can"
        )
    data = {**scene.job.data, **mapped}
    for wildcard, values in _spread(scene):
        if wildcard.kind is WildcardKind.SLOTS:
            before = data.get(wildcard.key)
            data[wildcard.key] = {**(before if isinstance(before, Mapping) else {}), **values}
    return data


def attributes(scene: Scene) -> dict[str, Any]:
    """The attributes (`_name`) and markers (`-name`) that the wildcards of `job.maps` write.

    Lists and objects become JSON text.
    """
    found: dict[str, object] = {}
    for wildcard, values in _spread(scene):
        sign = {WildcardKind.MARKERS: "-", WildcardKind.ATTRIBUTES: "_"}.get(wildcard.kind)
        for name, value in values.items() if sign else ():
            key = name if sign == "-" and name.startswith("-") else f"{sign}{name}"
            found[key] = _text(value, name) if isinstance(value, Mapping | list | tuple) else value
    return found


def _text(value: object, name: str) -> str:
    return encode(value, f"attribute {name!r}")


def _spread(scene: Scene) -> Iterator[tuple[Wildcard, Mapping[str, object]]]:
    for wildcard in scene.node.wildcards:
        values = scene.evaluate(wildcard.value)
        if isinstance(values, Mapping):
            yield wildcard, values
        elif values is not UNDEFINED and values is not None:
            raise DescriptorError(
                f"{wildcard.key!r} in its job.maps has a wildcard, so its value must be an object,"
                f" and is {values!r:.100}"
            )
