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


class InitialState(TypedDict, total=False):
    """What a run begins with: searchable `attributes`, and `entity`, its document."""

    attributes: Mapping[str, Value]
    entity: Mapping[str, Any]


class FilterOptions(TypedDict, total=False):
    """Which runs: those that fit all of these; None means any. `state`: one, or one of several."""

    workflow: str | Workflow[..., Any] | None
    state: RunState | Collection[RunState] | None
    task_queue: str | None
    id_prefix: str | None
    attributes: Mapping[str, Value] | None


def encoded_state(state: InitialState, caller: str) -> str | None:
    """The state as JSON, None when it is empty; messages name the caller `caller`.

    Raises `PayloadError` and `StateError` for what a run could not set itself.
    """
    if not state:
        return None
    _check(state, InitialState, _OPTIONS_OF_START, caller)
    encoded: dict[str, object] = {}
    if attributes := state.get("attributes"):
        encoded["attributes"] = Attributes(attributes).as_dict()
    if entity := state.get("entity"):
        encoded["entity"] = Entity(entity).get()
    return compact_json(encoded) if encoded else None


def run_filter(options: FilterOptions, caller: str) -> RunFilter:
    """The same as the store takes it; `caller` asks, for messages.

    Raises `PayloadError` for attributes that no run could have, `ConfigurationError` for other
    things that none could.
    """
    _check(options, FilterOptions, ("before", "limit") if caller == "client.list()" else (), caller)
    attributes = options.get("attributes")
    wanted = {name: attribute(name, value) for name, value in (attributes or {}).items()}
    workflow = options.get("workflow")
    return RunFilter(
        workflow.name if isinstance(workflow, Workflow) else _sought("workflow", workflow, caller),
        _states(options.get("state"), caller),
        _sought("task_queue", options.get("task_queue"), caller),
        _sought("id_prefix", options.get("id_prefix"), caller),
        compact_json(wanted) if wanted else None,
    )


def _sought(option: str, value: Any, caller: str) -> str | None:
    return None if value is None else check_sought(option, value, caller)


def _states(given: Any, caller: str) -> tuple[RunState, ...] | None:
    if given is None:
        return None
    several = [given] if isinstance(given, str) or not isinstance(given, Collection) else given
    for state in several:
        check_one_of("state", state, caller, RUN_STATES)
    return tuple(several)


def _check(given: Mapping[str, Any], known: type, beside: Collection[str], caller: str) -> None:
    if unknown := sorted(given.keys() - known.__annotations__.keys()):
        there = sorted([*known.__annotations__, *beside])
        raise ConfigurationError(f"{caller}: unknown options {unknown}; known are {there}")
