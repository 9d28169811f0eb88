"""Names as ids and topics of a graph: which can stand there, and side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from durable.descriptor.identifiers import LONGEST, is_id, is_topic, section_in
from durable.errors import DefinitionError
from durable.replay.definitions import ActivityDefinition, WorkflowDefinition

Definition = TypeVar("Definition", ActivityDefinition, WorkflowDefinition)

SIGNAL_SUFFIX: Final = ".signal"
"""What is added to a workflow's name for the topic at which its signals arrive."""


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
    if is_topic(queue):
        return queue
    raise DefinitionError(
        f"task_queue={queue!r}: a queue's name has no blanks or braces, and 1 to {LONGEST}"
        " characters"
    )


def _check(name: str, kind: str, site: str) -> None:
    if why := _problem(name, LONGEST - len(SIGNAL_SUFFIX) if kind == "workflow" else None):
        raise DefinitionError(f"{site}: the {kind}'s name {name!r} {why}: give it name=…")


def _problem(name: str, longest: int | None) -> str:
    if name.startswith("."):
        return "begins with a dot, as only generated names do"
    if longest is not None and len(name) > longest:
        return f"is longer than {longest} characters"
    if section := section_in(name):
        return f"contains {section!r}, which in a graph begins a reference"
    if is_id(name):
        return ""
    return (
        "cannot be an id of a graph, which has no blanks, braces or quotes, does not begin"
        f" with @, $ or a comma, and is no longer than {LONGEST} characters"
    )
