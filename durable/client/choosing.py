"""What `client.start` may begin a run with, and by what `client.list` finds it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from durable.errors import ConfigurationError
from durable.protocol.documents import Entity
from durable.protocol.json_values import compact_json
from durable.protocol.searchable import Attributes, Value, attribute
from durable.store.jobs import RunFilter


class Begun(TypedDict, total=False):
    """Beside its arguments: `attributes`, by which it is found, and `entity`, its document."""

    attributes: Mapping[str, Value]
    entity: Mapping[str, Any]


class Chosen(TypedDict, total=False):
    """Which runs: those that fit all of these; None means any."""

    workflow: str | None
    state: str | None
    task_queue: str | None
    id_prefix: str | None
    attributes: Mapping[str, Value] | None


def begun_with(begun: Begun) -> str | None:
    """The same as JSON, None for nothing.

    Raises `PayloadError` and `StateError` for what a run could not set itself.
    """
    _check(begun, Begun)
    state: dict[str, Any] = {}
    if attributes := begun.get("attributes"):
        state["attributes"] = Attributes(attributes).as_dict()
    if entity := begun.get("entity"):
        state["entity"] = Entity(entity).get()
    return compact_json(state) if state else None


def run_filter(chosen: Chosen) -> RunFilter:
    """The same as the store takes it.

    Raises `PayloadError` for attributes that no run could have.
    """
    _check(chosen, Chosen)
    attributes = chosen.get("attributes")
    wanted = {name: attribute(name, value) for name, value in (attributes or {}).items()}
    return RunFilter(
        chosen.get("workflow"),
        chosen.get("state"),
        chosen.get("task_queue"),
        chosen.get("id_prefix"),
        compact_json(wanted) if wanted else None,
    )


def _check(given: Mapping[str, Any], known: type) -> None:
    if unknown := sorted(given.keys() - known.__annotations__.keys()):
        raise ConfigurationError(
            f"unknown options {unknown}; known are {sorted(known.__annotations__)}"
        )
