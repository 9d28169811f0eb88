"""Definitions: the frozen values that decorators return and workers collect.

A definition knows its function, its name, the shapes of its arguments and result (`Signature`) and
its options. It holds no connection and registers itself nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from durable.codec.adapters import Adapter
from durable.codec.signature import Signature
from durable.errors import DefinitionError
from durable.protocol.options import ActivityOptions, WorkflowOptions


def check(definition: ActivityDefinition | WorkflowDefinition) -> None:
    """Make ready what is otherwise made at the first call.

    Raises:
        DefinitionError: an annotation means nothing, a type cannot be written down, or a workflow
            calls two functions of one name; says which, where, and what to do.
    """
    try:
        definition.signature.check()
    except DefinitionError as error:
        raise DefinitionError(f"{definition.site}: {error}") from error
    if isinstance(definition, WorkflowDefinition):
        _check_calls(definition)


def _check_calls(workflow: WorkflowDefinition) -> None:
    """A call is recorded, and served, by its name: two functions must not share one."""
    known: dict[tuple[type, str, str | None], str] = {}
    for called in workflow.calls():
        key = type(called), called.name, called.options.task_queue
        site = known.setdefault(key, called.site)
        if site != called.site:
            kind = "activities" if isinstance(called, ActivityDefinition) else "workflows"
            raise DefinitionError(
                f"{workflow.site}: the workflow {workflow.name!r} calls two {kind} that are named"
                f" {called.name!r}, at {site} and at {called.site}: one of them would be run for"
                " both; give one of them name=…"
            )


@dataclass(frozen=True, slots=True)
class ActivityDefinition:
    """An activity: a function that touches the world. `is_async` False means: run on a thread."""

    name: str
    fn: Callable[..., Any]
    signature: Signature
    options: ActivityOptions
    is_async: bool
    site: str  # "file:line" of the function
    overrides: frozenset[str] = field(default=frozenset(), compare=False)  # set by `.options(…)`


@dataclass(frozen=True, slots=True)
class DeclaredSignals:
    """The signals that a workflow's code refers to.

    `adapters` by their names; `complete`: it can receive no others, as far as its code shows.
    """

    adapters: Mapping[str, Adapter]
    complete: bool


def _any_signal() -> DeclaredSignals:
    return DeclaredSignals({}, complete=False)


@dataclass(frozen=True, slots=True)
class WorkflowDefinition:
    """A workflow: an async function that is replayed.

    `signals` is asked when the graph is generated, and `calls`, what its code calls by name, when a
    worker starts: by then the module has all its names.
    """

    name: str
    fn: Callable[..., Any]
    signature: Signature
    options: WorkflowOptions
    site: str  # "file:line" of the function
    signals: Callable[[], DeclaredSignals] = field(default=_any_signal, compare=False)
    calls: Callable[[], tuple[ActivityDefinition | WorkflowDefinition, ...]] = field(
        default=tuple, compare=False
    )
    overrides: frozenset[str] = field(default=frozenset(), compare=False)  # set by `.options(…)`


@dataclass(frozen=True, slots=True)
class GraphDefinition:
    """A hand-written graph as a workflow calls it.

    Args:
        name: the topic to which it subscribes.
        app: its app; None for that of the calling run's task queue.
        result: reads the data that it ends with.
    """

    name: str
    app: str | None
    result: Adapter

    def decode_result(self, text: str) -> Any:
        """The data of a job that ended. `PayloadError` if they are not of the type."""
        return self.result.decode(text)
