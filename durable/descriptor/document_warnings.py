"""Warnings about a document: what it says without effect, and what may not be meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pydantic.alias_generators import to_camel

from durable.descriptor.expressions.expression import Path
from durable.descriptor.findings import Finding
from durable.descriptor.function_graphs import ONLY_FUNCTIONS
from durable.descriptor.model import App, Graph, Trigger
from durable.descriptor.shared import with_shared

_REFERENCE: Final = re.compile(
    r"\{(\$self|\$job|[\w-]+)\.(?:input|output|hook|data|metadata|entity|attributes)\.[^{}]+\}"
)
_FIELDS: Final = frozenset(map(to_camel, ONLY_FUNCTIONS))
_PROSE: Final = frozenset({"title", "description", "schema", "settings"})


def warnings_of(app: App) -> list[Finding]:
    """Everything that stands in the app and that nothing will ever look at."""
    return [
        Finding(("app", "graphs", index, *path), message)
        for index, graph in enumerate(app.graphs)
        for path, message in _of_graph(app, graph)
    ]


def _of_graph(app: App, graph: Graph) -> Iterator[tuple[Path, str]]:
    for source, transitions in graph.transitions.items():
        for index, transition in enumerate(transitions):
            if transition.code is not None:
                message = (
                    "it has no effect here; to follow the transition on this code only, write"
                    f" `conditions: {{code: {transition.code}}}`"
                )
                yield ("transitions", source, index, "code"), message
    if graph.function is not None:
        yield from _of_functions(app, graph)
    for aid, activity in graph.activities.items():
        at: Path = ("activities", aid)
        for code in activity.job.by_code if activity.job is not None else ():
            message = "maps by code have no effect; give an activity behind that code its own"
            yield (*at, "job", code), message
        for code, port in activity.output.by_code.items() if activity.output is not None else ():
            if port.maps is not None:
                yield (*at, "output", code), "maps by code have no effect, only its schema has"
    roots = {"$self", "$job", *graph.activities}
    yield from _texts(
        graph.model_dump(by_alias=True, exclude_defaults=True, mode="json"), (), roots
    )


def _of_functions(app: App, graph: Graph) -> Iterator[tuple[Path, str]]:
    """Activities without a command, and options that an earlier release kept as settings."""
    whole = with_shared(app, graph)
    led = {transition.to for ways in whole.transitions.values() for transition in ways}
    for aid, activity in graph.activities.items():
        at: Path = ("activities", aid)
        if aid not in led and not isinstance(activity, Trigger):
            yield at, "no transition leads to it: a run with a command of this name is suspended"
        for key in (activity.settings or {}).keys() & _FIELDS:
            yield (*at, "settings", key), f"it has no effect here; write `{key}` beside `settings`"


def _texts(value: object, at: Path, roots: set[str]) -> Iterator[tuple[Path, str]]:
    """Texts within which a reference stands: nothing is put in its place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in _PROSE:
                yield from _texts(inner, (*at, key), roots)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*at, index), roots)
    elif isinstance(value, str):
        found = _REFERENCE.search(value)
        if found is not None and found[0] != value and found[1] in roots:
            join = f"'@pipe': [['…', '{found[0]}'], ['{{@string.concat}}']]"
            message = f"{found[0]} is read as text here, since more stands beside it; write {join}"
            yield at, message
