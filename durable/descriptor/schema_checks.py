"""By which schemas a graph has its data checked: `validate: true` on its sides and activities."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from durable.descriptor.expressions.expression import Path
from durable.descriptor.model import Await, Cycle, Graph, Hook, Trigger, Worker
from durable.descriptor.parts import HookPort, Port
from durable.descriptor.schema_mismatch import JsonSchema
from durable.descriptor.schema_patterns import pattern_problems
from durable.descriptor.schemas import MISSING, Checker, problems

Schemas = Iterator[tuple[Path, str, dict[str, JsonValue] | None]]
"""Path of a side, the name by which its checker is found, its schema."""


def _of_graph(graph: Graph) -> Schemas:
    for name in ("input", "output"):
        port = getattr(graph, name)
        if port is not None and port.validate_:
            yield (name,), name, port.schema_


def _of_activity(activity: object, at: Path) -> Schemas:
    for name in ("input", "output", "job", "signal", "resolver", "hook"):
        port = getattr(activity, name, None)
        if isinstance(port, (Port, HookPort)) and port.validate_:
            yield (*at, name), name, port.schema_
    for code, port in getattr(getattr(activity, "output", None), "by_code", {}).items():
        if port.validate_:
            yield (*at, "output", code), code, port.schema_


def _without_effect(activity: object, name: str) -> str | None:
    if isinstance(activity, Trigger):
        return "what a job is started with is checked by the graph's `input`"
    if name == "job":
        return "the job's data is checked by the graph's `output`, when the job ends"
    if name == "input" and not isinstance(activity, (Worker, Await, Cycle)):
        return "this kind of activity is given no input"
    if name in ("signal", "resolver") or (name == "hook" and not isinstance(activity, Hook)):
        return "what is signalled is checked by the hook that gets it"
    return None


def schema_problems(graph: Graph) -> Iterator[tuple[Path, str]]:
    """What is wrong with the schemas that a graph asks to be checked by."""
    for path, _, schema in _of_graph(graph):
        yield from _of_side(path, schema)
    for aid, activity in graph.activities.items():
        for path, name, schema in _of_activity(activity, ("activities", aid)):
            if problem := _without_effect(activity, name):
                yield (*path, "validate"), problem
            else:
                yield from _of_side(path, schema)


def _of_side(path: Path, schema: JsonSchema | None) -> Iterator[tuple[Path, str]]:
    if schema is None:
        yield (*path, "validate"), "there is no `schema` here to check by"
    elif MISSING is not None:
        yield (*path, "validate"), MISSING
    else:
        found = list(problems(schema)) or pattern_problems(schema)
        for where, message in found:
            yield (*path, "schema", *where), message


def graph_checks(graph: Graph) -> dict[str, Checker]:
    """The checkers of a graph: `input`, `output`."""
    return {name: Checker(schema or {}) for _, name, schema in _of_graph(graph)}


def activity_checks(activity: object) -> dict[str, Checker]:
    """The checkers of an activity: `input`, `output`, `hook`, or a code such as `500`."""
    return {name: Checker(schema or {}) for _, name, schema in _of_activity(activity, ())}
