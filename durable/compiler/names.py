"""Names as ids and topics of a graph: which can stand there, and side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from durable.definitions import ActivityDefinition, WorkflowDefinition
from durable.descriptor.parts import ID_LONGEST, Id, Topic
from durable.errors import DefinitionError

Definition = TypeVar("Definition", ActivityDefinition, WorkflowDefinition)

SIGNAL_SUFFIX: Final = ".signal"
"""What is added to a workflow's name for the topic at which its signals arrive."""

_ID: Final[TypeAdapter[str]] = TypeAdapter(Id)
_TOPIC: Final[TypeAdapter[str]] = TypeAdapter(Topic)
_SECTION: Final = re.compile(r"\.(input|output|hook)(\.|$)")


def by_name(definitions: Sequence[Definition], kind: str) -> list[Definition]:
    """Each definition once, in the order of their names.

    Args:
        definitions: in any order; the same one may be there twice.
        kind: "activity" or "workflow", for messages.

    Raises `DefinitionError` for a name that no id can be, and for one that two of them share.
    """
    found: dict[str, Definition] = {}
    for definition in definitions:
        other = found.setdefault(definition.name, definition)
        if other != definition:
            sites = sorted((other.site, definition.site))
            raise DefinitionError(
                f"{kind} {definition.name!r} is defined twice, at {sites[0]} and at {sites[1]}:"
                " give one of them name=…, or register one of them"
            )
        _check(definition.name, kind, definition.site)
    return [found[name] for name in sorted(found)]


def check_apart(
    workflows: Sequence[WorkflowDefinition], activities: Sequence[ActivityDefinition]
) -> None:
    """Raise `DefinitionError` if a workflow and an activity share a name."""
    sites = {activity.name: activity.site for activity in activities}
    for workflow in workflows:
        if workflow.name in sites:
            raise DefinitionError(
                f"a workflow ({workflow.site}) and an activity ({sites[workflow.name]}) are both"
                f" named {workflow.name!r}, and stand in the same graph: give one of them name=…"
            )


def check_queue(queue: str) -> str:
    """The task queue's name if an app can be called so, else `DefinitionError`."""
    try:
        return _TOPIC.validate_python(queue)
    except ValidationError as error:
        raise DefinitionError(
            f"task_queue={queue!r}: a queue's name has no blanks or braces, and 1 to {ID_LONGEST}"
            " characters"
        ) from error


def _check(name: str, kind: str, site: str) -> None:
    if why := _complaint(name, ID_LONGEST - len(SIGNAL_SUFFIX) if kind == "workflow" else None):
        raise DefinitionError(f"{site}: the {kind}'s name {name!r} {why}: give it name=…")


def _complaint(name: str, longest: int | None) -> str:
    if name.startswith("."):
        return "begins with a dot, as only generated names do"
    if longest is not None and len(name) > longest:
        return f"is longer than {longest} characters"
    if section := _SECTION.search(name):
        return f"contains {section[0].rstrip('.')!r}, which in a graph begins a reference"
    try:
        _ID.validate_python(name)
    except ValidationError:
        return (
            "cannot be an id of a graph, which has no blanks, braces or quotes, does not begin"
            f" with @, $ or a comma, and is no longer than {ID_LONGEST} characters"
        )
    return ""
