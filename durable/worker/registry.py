"""What a worker is given to serve: decorated functions, each name once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from durable.errors import ConfigurationError
from durable.protocol.limits import check_several
from durable.replay.definitions import ActivityDefinition, WorkflowDefinition
from durable.worker.worker_services import WorkerServices

Definition = TypeVar("Definition", WorkflowDefinition, ActivityDefinition)


class HasServices(Protocol):
    """A client: it carries what a worker needs."""

    @property
    def services(self) -> WorkerServices:
        """The streams, and services to the engine."""
        ...


class Defined(Protocol):
    """Something decorated with `@workflow` or `@activity`."""

    @property
    def definition(self) -> object:
        """Its definition."""
        ...


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
