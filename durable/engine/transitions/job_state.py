"""What an answer changes of the job's state: its attributes, its entity document, its markers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from durable.descriptor.operations import operate
from durable.engine.copies import changed
from durable.engine.effects import Answer
from durable.engine.extension import Extension
from durable.engine.job import ActivityContext, Job
from durable.engine.transitions.mapping import attributes as spread
from durable.errors import StateError
from durable.protocol.documents import Entity
from durable.protocol.graphs import Data, nothing
from durable.protocol.searchable import Attributes


@dataclass(frozen=True, slots=True)
class StateChange:
    """What is to be written of a job's state; None leaves what was there, markers are joined in."""

    entity: str | None = None
    attributes: Data | None = None
    document: Data | None = None
    markers: Data = field(default_factory=nothing)


def updated_state(context: ActivityContext, answer: Answer) -> tuple[Job, dict[str, str | None]]:
    """The job once an activity has answered so, and the markers that are written with it.

    First come the wildcards of `job.maps`, then the operations of `state`, then those that came
    with the answer. Raises `StateError` and `PayloadError` for what does not fit.
    """
    job = context.job
    found = spread(context)
    markers = {name: value for name, value in found.items() if name.startswith("-")}
    values = {name[1:]: value for name, value in found.items() if name.startswith("_")}
    operations = [*_listed(context), *answer.state]
    if not values and not operations:
        return job, markers
    attributes, entity = Attributes(job.attributes), Entity(job.document)
    attributes.set(values)
    for operation in operations:
        operate(operation, attributes, entity)
    if attributes.changed:
        job = changed(job, attributes=attributes.as_dict())
    if entity.changed:
        job = changed(job, document=entity.get())
    return job, markers


def created_job(context: ActivityContext, extension: Extension) -> Job:
    """A job as it is created: of its trigger's `entity` or the caller's, with attributes."""
    job = context.job
    if extension.search:
        job = changed(job, attributes=Attributes(extension.search).as_dict())
    if extension.entity is not None or context.node.entity is not None:
        kind = extension.entity or context.text(context.node.entity, "entity")
        job = changed(job, entity=kind, document={})
    return job


def difference(before: Job, after: Job, markers: Mapping[str, str | None]) -> StateChange | None:
    """The changes of a job's state to write, None without any."""
    entity = None if after.entity == before.entity else after.entity
    attributes = None if after.attributes is before.attributes else after.attributes
    document = None if after.document is before.document else after.document
    if entity is None and attributes is None and document is None and not markers:
        return None
    return StateChange(entity, attributes, document, dict(markers))


def _listed(context: ActivityContext) -> list[Any]:
    if context.node.state is None:
        return []
    found = context.value(context.node.state, [])
    if not isinstance(found, list | tuple):
        raise StateError(f"`state` is a list of operations, and is {found!r:.100}")
    return list(found)
