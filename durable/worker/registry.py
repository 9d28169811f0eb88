"""The decorated functions that a worker serves, each name once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from durable.errors import ConfigurationError
from durable.protocol.limits import check_several
from durable.replay.definitions import ActivityDefinition, WorkflowDefinition, check

Definition = TypeVar("Definition", WorkflowDefinition, ActivityDefinition)


class Defined(Protocol):
    """Something decorated with `@workflow` or `@activity`."""

    @property
    def definition(self) -> object:
        """Its definition."""
        ...


@dataclass(frozen=True, slots=True)
class Registry:
    """What a worker serves, by name.

    Attributes:
        workflows: the workflows.
        activities: the activities.
    """

    workflows: Mapping[str, WorkflowDefinition]
    activities: Mapping[str, ActivityDefinition]

    @classmethod
    def of(cls, workflows: Iterable[Defined], activities: Iterable[Defined]) -> Self:
        """The registry of decorated functions; raises `ConfigurationError` without any."""
        made = cls(
            by_name(workflows, WorkflowDefinition, "workflows", "@durable.workflow"),
            by_name(activities, ActivityDefinition, "activities", "@durable.activity"),
        )
        if not made.workflows and not made.activities:
            raise ConfigurationError(
                "this worker has nothing to do: give it workflows=[…] or activities=[…]"
            )
        return made

    def check(self) -> None:
        """Raise `ConfigurationError` for a function that could not run."""
        list(map(check, self.workflows.values()))
        list(map(check, self.activities.values()))


def by_name(
    given: Iterable[Defined], kind: type[Definition], option: str, decorator: str
) -> dict[str, Definition]:
    """What a worker was given, by name.

    Args:
        given: what the user passed.
        kind: what it must be.
        option: the name of the option, for the message.
        decorator: what makes such things, likewise.

    Raises `ConfigurationError` for anything else, and for two of one name.
    """
    found: dict[str, Definition] = {}
    for item in check_several(option, given, "Worker()"):
        definition = getattr(item, "definition", None)
        if not isinstance(definition, kind):
            raise ConfigurationError(
                f"{option} takes functions decorated with {decorator}, not {item!r}"
            )
        if definition.name in found and found[definition.name] != definition:
            raise ConfigurationError(
                f"two of the {option} are named {definition.name!r} "
                f"({found[definition.name].site} and {definition.site}): give one of them name=…"
            )
        found[definition.name] = definition
    return found
