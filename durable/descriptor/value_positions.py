"""Where in a graph values of the mapping language stand, and which references make sense there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from durable.descriptor.expressions.expression import Expression, Lookup, Path
from durable.descriptor.expressions.paths import JOB, SELF, Reference
from durable.descriptor.model import ActivityPart, Graph, Hook, Trigger
from durable.descriptor.parts import Escalation, MappedPort, Part, Stats

PORTS: Final = ("input", "output", "job", "signal", "resolver")
"""The attributes of activities that may have maps."""

SINGLES: Final = (
    "topic", "app", "sleep", "await_", "status", "target", "reason", "throw", "descend", "code",
    "expire", "stack", "emit", "persist", "status_threshold", "telemetry", "entity", "state",
    "key_value", "scrub",
)  # fmt: skip
"""The attributes of activities that hold one value of the language."""


@dataclass(frozen=True, slots=True)
class Place:
    """A value of the mapping language in a graph.

    Attributes:
        path: where it stands, below the graph.
        raw: what stands there.
        owner: the activity for which `$self` stands; "" where there is none.
        role: `activity`, or `signal` for what is resolved in a signal, before any job is known.
    """

    path: Path
    raw: object
    owner: str
    role: str = "activity"


def key_of(part: Part, attribute: str) -> str:
    """The key in the document for an attribute of a part."""
    return type(part).model_fields[attribute].alias or attribute


def given(part: Part, attribute: str) -> JsonValue:
    """What the document says; None where it says nothing, or no more than the default."""
    field = type(part).model_fields.get(attribute)
    value: JsonValue = getattr(part, attribute) if field else None
    # A default that is a value of its own, such as `await: true`, stands in the plan.
    is_silent = field is None or (value == field.default and attribute in _SILENT)
    return None if is_silent else value


_SILENT: Final = frozenset({"emit", "persist", "persistent", "scrub", "status_threshold"})


def places(graph: Graph) -> Iterator[Place]:
    """All values of the mapping language in a graph, in no particular order."""
    triggers = [aid for aid, part in graph.activities.items() if isinstance(part, Trigger)]
    for name in ("expire", "persistent"):
        if (value := given(graph, name)) is not None:
            yield Place((name,), value, triggers[0] if triggers else "")
    for aid, activity in graph.activities.items():
        for path, raw in _of_activity(activity):
            yield Place(("activities", aid, *path), raw, aid)
    for aid, transitions in graph.transitions.items():
        for i, transition in enumerate(transitions):
            at: Path = ("transitions", aid, i, "conditions", "match")
            for j, match in enumerate(transition.conditions.match if transition.conditions else ()):
                yield Place((*at, j, "actual"), match.actual, aid)
    yield from _of_hooks(graph)


def _of_hooks(graph: Graph) -> Iterator[Place]:
    for topic, rules in graph.hooks.items():
        for i, rule in enumerate(rules):
            at: Path = ("hooks", topic, i, "conditions", "match")
            for j, match in enumerate(rule.conditions.match if rule.conditions else ()):
                yield Place((*at, j, "expected"), match.expected, rule.to)
                yield Place((*at, j, "actual"), match.actual, rule.to, "signal")


def _of_activity(activity: ActivityPart) -> Iterator[tuple[Path, object]]:
    for name in PORTS:
        port = getattr(activity, name, None)
        if isinstance(port, MappedPort) and port.maps is not None:
            yield (name, "maps"), port.maps
    for name in SINGLES:
        if (value := given(activity, name)) is not None:
            yield (key_of(activity, name),), value
    if isinstance(activity, Trigger) and activity.stats is not None:
        yield from _of_stats(activity.stats)
    if isinstance(activity, Hook) and activity.escalation is not None:
        for key, value in columns(activity.escalation).items():
            yield ("escalation", key), value


def _of_stats(stats: Stats) -> Iterator[tuple[Path, object]]:
    for name in ("id", "key"):
        if (value := given(stats, name)) is not None:
            yield ("stats", name), value
    for index, measure in enumerate(stats.measures):
        yield ("stats", "measures", index, "target"), measure.target


def measure_name(target: Expression) -> str | None:
    """What a measure of this target is called: the path below the data; None: it has none.

    Example:
        >>> from durable.descriptor.expressions.pipe import compile_value
        >>> measure_name(compile_value("{t1.output.data.size.width}"))
        'size/width'
    """
    if not isinstance(target, Lookup) or target.reference.part != "data":
        return None
    return "/".join(target.reference.path) or None


def columns(escalation: Escalation) -> dict[str, JsonValue]:
    """The columns of an escalation that the document gives, by their keys there."""
    return {key_of(escalation, name): value for name, value in escalation if value is not None}


def reference_problem(
    reference: Reference, place: Place, graph: Graph, ancestors: Sequence[str]
) -> str | None:
    """Why the reference has no value at this place, or None if it has one."""
    if reference.root == JOB:
        return "a signal is matched before its job is known" if place.role == "signal" else None
    root = place.owner if reference.root == SELF else reference.root
    activity = graph.activities.get(root)
    if activity is None:
        return f"there is no activity {root!r} in this graph"
    if place.role == "signal":
        fits = root == place.owner and reference.section == "hook"
        return None if fits else "`actual` is resolved in the signal: use {$self.hook.data.…}"
    if root != place.owner and root not in ancestors:
        return (
            f"{root!r} does not lie above {place.owner!r}, so its data need not be there; "
            "share it by job.maps and {$job.data.…}"
        )
    return _section_problem(reference, place, activity, root)


def _section_problem(
    reference: Reference, place: Place, activity: ActivityPart, root: str
) -> str | None:
    if reference.section == "hook" and not isinstance(activity, Hook):
        return f"{root!r} is not a hook, so nothing is signalled to it"
    if reference.section == "input":
        if not isinstance(activity, Trigger):
            return "only a trigger's input can be referred to"
        if root != place.owner:
            return f"beyond the trigger itself its input is {{{root}.output.data.…}}"
    return None
