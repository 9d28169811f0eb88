"""What an answer writes: the activity's own data, and what the job shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from durable.descriptor.expressions.values import UNDEFINED
from durable.descriptor.plan import Node
from durable.descriptor.wildcards import Wildcard, WildcardKind
from durable.engine.copies import changed
from durable.engine.effects import Answer
from durable.engine.job import ActivityContext, Instance, encode, not_finite
from durable.errors import DescriptorError


def settled(context: ActivityContext, answer: Answer) -> Instance:
    """The instance that holds an answer, `output.maps` merged over the data.

    `scene.dad` is the answer's own address.
    """
    answered = _instance(context, answer)
    maps = context.node.output
    if maps is None or not answer.remapped:
        return answered
    mapped = seeing(context, answered).data(maps)
    return changed(answered, output={**(answered.output or {}), **mapped})


def seeing(context: ActivityContext, answered: Instance) -> ActivityContext:
    """The same scene once the activity has answered so."""

    def find(node: Node, dad: str) -> Instance | None:
        return answered if node is context.node else context.find(node, dad)

    return changed(context, find=find)


def _instance(context: ActivityContext, answer: Answer) -> Instance:
    before = context.find(context.node, context.dad)
    fresh = before or Instance(context.node.id, context.dad, opened_at=context.now)
    return changed(
        fresh,
        code=answer.code,
        output=answer.data if answer.section == "output" else fresh.output,
        hook=answer.data if answer.section == "hook" else fresh.hook,
        error=answer.error,
        settled_at=context.now,
    )


def shared(context: ActivityContext) -> dict[str, object]:
    """The job's data once `job.maps` have been written into it, slots of wildcards one by one."""
    mapped = context.data(context.node.job)
    if context.node.computes and (found := not_finite(mapped)) is not None:
        raise DescriptorError(
            f"in its job.maps {found}, which JSON cannot hold: give it a value that it can"
        )
    data = {**context.job.data, **mapped}
    for wildcard, values in _spread(context):
        if wildcard.kind is WildcardKind.SLOTS:
            before = data.get(wildcard.key)
            data[wildcard.key] = {**(before if isinstance(before, Mapping) else {}), **values}
    return data


def attributes(context: ActivityContext) -> dict[str, Any]:
    """The attributes (`_name`) and markers (`-name`) that the wildcards of `job.maps` write.

    Lists and objects become JSON text.
    """
    found: dict[str, object] = {}
    for wildcard, values in _spread(context):
        sign = {WildcardKind.MARKERS: "-", WildcardKind.ATTRIBUTES: "_"}.get(wildcard.kind)
        for name, value in values.items() if sign else ():
            key = name if sign == "-" and name.startswith("-") else f"{sign}{name}"
            found[key] = _text(value, name) if isinstance(value, Mapping | list | tuple) else value
    return found


def _text(value: object, name: str) -> str:
    return encode(value, f"attribute {name!r}")


def _spread(context: ActivityContext) -> Iterator[tuple[Wildcard, Mapping[str, object]]]:
    for wildcard in context.node.wildcards:
        values = context.evaluate(wildcard.value)
        if isinstance(values, Mapping):
            yield wildcard, values
        elif values is not UNDEFINED and values is not None:
            raise DescriptorError(
                f"{wildcard.key!r} in its job.maps has a wildcard, so its value must be an object,"
                f" and is {values!r:.100}"
            )
