"""Whether values of the mapping language compile, and make sense where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from durable.descriptor.expressions.expression import Path
from durable.descriptor.expressions.paths import Reference
from durable.descriptor.expressions.pipe import compile_into
from durable.descriptor.findings import Finding
from durable.descriptor.model import Graph
from durable.descriptor.tree import Tree
from durable.descriptor.value_positions import Place, places, reference_problem
from durable.descriptor.wildcards import problems as wildcard_problems
from durable.errors import ConfigurationError
from durable.protocol.durations import seconds
from durable.protocol.limits import check_queue

_FLAGS: Final = frozenset({"await", "throw", "descend", "emit", "persist", "persistent", "scrub"})
_STATUSES: Final = ("success", "pending", "error")


def value_findings(graph: Graph, tree: Tree) -> Iterator[Finding]:
    """Every value of the language compiles, and its references have a value where they stand."""
    for place in places(graph):
        found: list[tuple[Path, str]] = []
        references: list[tuple[Path, Reference]] = []
        expression = compile_into(
            place.raw,
            place.path,
            lambda *finding, to=found: to.append(finding),
            lambda *reference, to=references: to.append(reference),
        )
        above = tree.ancestors.get(place.owner, ())
        for path, reference in references:
            problem = reference_problem(reference, place, graph, above)
            if problem:
                found.append((path, f"{reference}: {problem}"))
        if expression.is_constant and not found:
            found.extend(_constant(place))
        found.extend(_wildcards(place))
        yield from (Finding(path, message) for path, message in found)


def _wildcards(place: Place) -> Iterator[tuple[Path, str]]:
    """Keys such as `x[25]`, `x[-]` and `x[_]` write the properties of an object one by one."""
    if place.path[-2:] == ("job", "maps") and isinstance(place.raw, Mapping):
        for key, message in wildcard_problems(place.raw):
            yield (*place.path, key), message


def _constant(place: Place) -> Iterator[tuple[Path, str]]:
    """Literals where only some make sense."""
    field, value = place.path[-1], place.raw
    if field in {"sleep", "expire"}:
        if wrong := duration_problem(value):
            yield place.path, wrong
    elif field in _FLAGS and not isinstance(value, bool):
        yield place.path, "it must be true, false, a reference or a pipe"
    elif field == "statusThreshold" and (not isinstance(value, int) or value is True or value < 0):
        yield place.path, "it must be a whole number from 0 on, a reference or a pipe"
    elif field == "code" and (isinstance(value, bool) or not isinstance(value, int)):
        yield place.path, "it must be a whole number, a reference or a pipe"
    elif field == "app":
        try:
            check_queue("app", value, "")
        except ConfigurationError as error:
            yield place.path, str(error).removeprefix(": ")
    elif field == "status" and value not in _STATUSES:
        yield place.path, f"it must be one of {', '.join(_STATUSES)}"


def duration_problem(value: object) -> str | None:
    """Why a literal is not a duration, None if it is one.

    It is a number of seconds, where 0 and less mean "not at all", or text such as "30 days".
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return None
    if not isinstance(value, str):
        return "it must be seconds or a duration"
    try:
        seconds(value)
    except ConfigurationError as error:
        return str(error)
    return None
