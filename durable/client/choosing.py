"""What `client.start` may begin a run with, and by what `client.list` finds it again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypedDict

from durable.authoring.workflow import Workflow
from durable.errors import ConfigurationError
from durable.protocol.documents import Entity
from durable.protocol.json_values import compact_json
from durable.protocol.limits import check_one_of, check_sought
from durable.protocol.searchable import Attributes, Value, attribute
from durable.protocol.states import RUN_STATES, RunState
from durable.store.jobs import RunFilter

_OPTIONS_OF_START = "id", "task_queue", "priority", "if_running", "if_ended"


class Begun(TypedDict, total=False):
    """Beside its arguments: `attributes`, by which it is found, and `entity`, its document."""

    attributes: Mapping[str, Value]
    entity: Mapping[str, Any]


class Chosen(TypedDict, total=False):
    """Which runs: those that fit all of these; None means any. `state`: one, or one of several."""

    workflow: str | Workflow[..., Any] | None
    state: RunState | Collection[RunState] | None
    task_queue: str | None
    id_prefix: str | None
    attributes: Mapping[str, Value] | None


def begun_with(begun: Begun, who: str) -> str | None:
    """The same as JSON, None for nothing; `who` asks, for messages.

    Raises `PayloadError` and `StateError` for what a run could not set itself.
    """
    if not begun:
        return None
    _check(begun, Begun, _OPTIONS_OF_START, who)
    state: dict[str, Any] = {}
    if attributes := begun.get("attributes"):
        state["attributes"] = Attributes(attributes).as_dict()
    if entity := begun.get("entity"):
        state["entity"] = Entity(entity).get()
    return compact_json(state) if state else None


def run_filter(chosen: Chosen, who: str) -> RunFilter:
    """The same as the store takes it; `who` asks, for messages.

    Raises `PayloadError` for attributes that no run could have, `ConfigurationError` for other
    things that none could.
    """
    _check(chosen, Chosen, ("before", "limit") if who == "client.list()" else (), who)
    attributes = chosen.get("attributes")
    wanted = {name: attribute(name, value) for name, value in (attributes or {}).items()}
    workflow = chosen.get("workflow")
    return RunFilter(
        workflow.name if isinstance(workflow, Workflow) else _sought("workflow", workflow, who),
        _states(chosen.get("state"), who),
        _sought("task_queue", chosen.get("task_queue"), who),
        _sought("id_prefix", chosen.get("id_prefix"), who),
        compact_json(wanted) if wanted else None,
    )


def _sought(option: str, value: Any, who: str) -> str | None:
    return None if value is None else check_sought(option, value, who)


def _states(given: Any, who: str) -> tuple[RunState, ...] | None:
    if given is None:
        return None
    several = [given] if isinstance(given, str) or not isinstance(given, Collection) else given
    for state in several:
        check_one_of("state", state, who, RUN_STATES)
    return tuple(several)


def _check(given: Mapping[str, Any], known: type, beside: Collection[str], who: str) -> None:
    if unknown := sorted(given.keys() - known.__annotations__.keys()):
        there = sorted([*known.__annotations__, *beside])
        raise ConfigurationError(f"{who}: unknown options {unknown}; known are {there}")
