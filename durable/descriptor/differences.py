"""The differences of an edited descriptor of functions from the one that was generated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from durable.descriptor.commands import (
    GRAPH,
    SIGNAL,
    START,
    Draft,
    Plain,
    graph_activity,
    is_generated_id,
    on_command,
)
from durable.descriptor.document import load_marked, load_stored, plain
from durable.descriptor.edits import (
    EDITABLE,
    SHARED,
    TRANSITION,
    Edit,
    activity_of,
    command_of,
    fields_of,
    reentrant_of,
    same,
)
from durable.descriptor.findings import Finding, refuse
from durable.descriptor.identifiers import is_topic
from durable.descriptor.layout import to_yaml
from durable.descriptor.model import Activity, App
from durable.descriptor.parts import Part, Retry
from durable.descriptor.value_positions import key_of
from durable.descriptor.yaml_reader import Mark


@dataclass(frozen=True, slots=True)
class EditedDocument:
    """A document that is to be deployed, read and checked as far as it goes by itself.

    Attributes:
        queue: the task queue.
        version: of the generated descriptor that was edited.
        printed: the deployment that it shows, None where it does not say so.
    """

    queue: str
    version: str
    printed: int | None
    _app: Plain
    _marks: Mark | None
    _nulls: tuple[Finding, ...]

    @classmethod
    def read(cls, source: str | Path | Mapping[str, object]) -> EditedDocument:
        """Read YAML text, a path, or plain data. Raises `DescriptorError`."""
        app, marks = load_marked(source)
        version, plus, number = app.version.partition(NUMBER)
        if plus and not _NUMBER.fullmatch(number):
            wrong = (
                "behind the + stands the number of the deployment that the document shows;"
                " leave it as it was printed"
            )
            refuse([Finding(("app", "version"), wrong)], marks)
        printed = int(number) if plus else None
        said = _completed(plain(app))
        if app.shared is not None:  # what is written empty is not missing
            said["shared"] = {
                key: said.get("shared", {}).get(key, empty)
                for key, empty in _EMPTY.items()
                if key in app.shared.model_fields_set
            }
        return cls(app.id, version, printed, said, marks, tuple(_nulls_of(app)))

    def edits(self, generated: Plain) -> list[Edit]:
        """What was edited of the generated descriptor.

        Raises `DescriptorError` for what only code can change, with paths and lines.
        """
        edits, findings = differences(generated, self._app)
        refuse((*self._nulls, *findings), self._marks)
        return edits


def plain_of(stored: str) -> Plain:
    """A stored descriptor, given as YAML, as plain data."""
    return _completed(plain(load_stored(stored)))


_EMPTY: Final[Plain] = {"activities": {}, "transitions": ()}


def _nulls_of(app: App) -> Iterator[Finding]:
    """Fields of activities without a value, which may be meant as a default or as none."""
    parts: list[tuple[tuple[str | int, ...], Mapping[str, Activity]]] = [
        (("app", "graphs", place), graph.activities) for place, graph in enumerate(app.graphs)
    ]
    if app.shared is not None:
        parts.append((("app", "shared"), app.shared.activities))
    for where, activities in parts:
        for name, activity in activities.items():
            at = (*where, "activities", name)
            for part, path in ((activity, at), (getattr(activity, "retry", None), (*at, "retry"))):
                if isinstance(part, Retry) and not part.model_fields_set:
                    yield Finding(path, f"an empty policy: {_LEAVE_OUT}")
                elif isinstance(part, Part):
                    keys = ((key_of(part, field), field) for field in part.model_fields_set)
                    for key in sorted(k for k, f in keys if getattr(part, f) is None):
                        if key in EDITABLE or key == "retry" or isinstance(part, Retry):
                            yield Finding((*path, key), f"null is not a value: {_LEAVE_OUT}")


_LEAVE_OUT: Final = "leave the field out for the default"


def _completed(app: Plain) -> Draft:
    """The app with what its graphs have by this release, where an earlier one has written them.

    One that was edited to lead its command nowhere has the activity still.
    """
    return {**app, "graphs": [_with_graph_activity(graph) for graph in app.get("graphs", ())]}


def _with_graph_activity(graph: Plain) -> Plain:
    activities, transitions = graph["activities"], graph.get("transitions", {})
    function = next((aid for aid, said in activities.items() if said.get("reentrant")), None)
    if function is None or GRAPH in activities:
        return graph
    way = [*transitions.get(function, ()), on_command(GRAPH, GRAPH)]
    return {
        **graph,
        "activities": {**activities, GRAPH: graph_activity(function)},
        "transitions": {**transitions, function: way},
    }


def written(app: Plain, number: int) -> str:
    """A descriptor as YAML, with the deployment that it shows."""
    return to_yaml({"app": {**app, "version": f"{app['version']}{NUMBER}{number}"}})


NUMBER: Final = "+"
"""What stands in `app.version` of a printed document before the number of the deployment."""
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


_FROM_CODE: Final = "it follows from the code of the functions: change it there"
_NO_EDIT: Final = (
    "deployments of functions change the retry policy, task queue, topic, timeouts and priority of"
    " activities, and where commands lead; this " + _FROM_CODE[3:]
)
_NAMED: Final = frozenset({"version"})  # what differs by being edited


def differences(base: Plain, edited: Plain) -> tuple[list[Edit], list[Finding]]:
    """What was edited, and what cannot be.

    Args:
        base: the app as it was generated, as plain data.
        edited: the app of the document that was edited.
    """
    found = _Differences(base, edited)
    found.of_app()
    return found.edits, found.findings


class _Differences:
    def __init__(self, base: Plain, edited: Plain) -> None:
        self._base = base
        self._edited = edited
        self.edits: list[Edit] = []
        self.findings: list[Finding] = []

    def of_app(self) -> None:
        self._others(self._base, self._edited, ("app",), {"shared", "graphs"})
        self._of_shared(self._base.get("shared", {}), self._edited.get("shared", {}))
        bases = {g["subscribes"]: g for g in self._base.get("graphs", ())}
        edited = {g["subscribes"]: g for g in self._edited.get("graphs", ())}
        for place, (name, graph) in enumerate(edited.items()):
            if name in bases:
                self._of_graph(bases[name], graph, place)
            else:
                self._refuse(
                    ("app", "graphs", place), f"there is no workflow {name!r}; {_FROM_CODE}"
                )
        for name in bases.keys() - edited.keys():
            self._refuse(("app", "graphs"), f"the graph of {name!r} is missing; {_FROM_CODE}")

    def _of_shared(self, base: Plain, edited: Plain) -> None:
        where = ("app", "shared")
        if missing := [f"`{key}`" for key in _EMPTY if base.get(key) and key not in edited]:
            names = " and ".join(missing)
            self._refuse(
                where,
                f"{names} are missing: print the document again; what is to be taken out is"
                " deleted one by one",
            )
            return
        self._others(base, edited, where, {"activities", "transitions"})
        bases, now = base.get("activities", {}), edited.get("activities", {})
        for name in bases.keys() | now.keys():
            place = (*where, "activities", name)
            if name not in bases:
                self._refuse(place, f"no function is registered as {name!r}; {_FROM_CODE}")
            elif name not in now:
                self.edits.append(Edit(SHARED, name, "", None, None))
            else:
                self._of_activity(SHARED, name, (bases[name], now[name]), place)
        removed = bases.keys() - now.keys()
        ways = base.get("transitions", ()), edited.get("transitions", ())
        self._of_ways(SHARED, ways, (*where, "transitions"), removed)

    def _of_graph(self, base: Plain, edited: Plain, place: int) -> None:
        where: tuple[str | int, ...] = ("app", "graphs", place)
        name, function = base["subscribes"], reentrant_of(base)
        self._others(base, edited, where, {"activities", "transitions"})
        bases, now = base["activities"], edited["activities"]
        for activity in bases.keys() | now.keys():
            at = (*where, "activities", activity)
            said = bases.get(activity) or activity_of(self._base, base, activity)
            if said is None:
                self._refuse(at, f"no function is registered as {activity!r}; {_FROM_CODE}")
            elif activity in now:
                self._of_activity(name, activity, (said, now[activity]), at)
            elif activity in (function, START, SIGNAL):
                self._refuse((*where, "activities"), f"{activity!r} is missing; {_FROM_CODE}")
            else:
                self.edits.append(Edit(name, activity, "", None, None))
        self._others(
            base["transitions"], edited.get("transitions", {}), (*where, "transitions"), {function}
        )
        ways = base["transitions"].get(function, ()), edited["transitions"].get(function, ())
        removed = bases.keys() - now.keys()
        self._of_ways(name, ways, (*where, "transitions", function), removed)

    def _of_activity(
        self, graph: str, name: str, said: tuple[Plain, Plain], where: tuple[str | int, ...]
    ) -> None:
        base, edited = said
        before, after = fields_of(base), fields_of(edited)
        if base.get("reentrant") or base["type"] not in ("worker", "await"):
            before, after = {}, {}
        if is_generated_id(name):  # whatever is called through it keeps its own name
            before.pop("topic", None)
            after.pop("topic", None)
        changed = {key.partition(".")[0] for key in (*before, *after)}
        self._others(base, edited, where, changed)
        for field in sorted(before.keys() | after.keys()):
            one, other = before.get(field), after.get(field)
            if same(field, one, other):
                continue
            if why := _unusable(field, other):
                self._refuse((*where, *field.split(".")), why)
            self.edits.append(Edit(graph, name, field, other, one))

    def _of_ways(
        self,
        graph: str,
        ways: tuple[Sequence[Plain], Sequence[Plain]],
        where: tuple[str | int, ...],
        removed: set[str],
    ) -> None:
        before = {command_of(t): t["to"] for t in ways[0]}
        after = {command_of(t): t["to"] for t in ways[1]}
        if graph != SHARED:  # one workflow may lead a command elsewhere than the others do
            shared = self._base.get("shared", {}).get("transitions", ())
            said = {command_of(t): t["to"] for t in shared}
            before |= {c: said[c] for c in after.keys() - before.keys() if c in said}
        for command in after.keys() - before.keys():
            place = next(n for n, t in enumerate(ways[1]) if command_of(t) == command)
            self._refuse((*where, place), f"no function is registered as {command!r}; {_FROM_CODE}")
        for command, target in before.items():
            if after.get(command) == target or target in removed:
                continue
            if command == SIGNAL:
                self._refuse(where, f"{SIGNAL}: signals arrive whatever is said here: leave it")
            else:
                self.edits.append(Edit(graph, command, TRANSITION, after.get(command), target))

    def _others(
        self, base: Plain, edited: Plain, where: tuple[str | int, ...], edits: set[str]
    ) -> None:
        """Whatever else was changed of a part is refused."""
        for key in _changed(base, edited):
            if key not in edits | _NAMED:
                self._refuse((*where, key) if key in edited else where, f"{key}: {_NO_EDIT}")

    def _refuse(self, where: tuple[str | int, ...], message: str) -> None:
        self.findings.append(Finding(where, message))


_CLASS: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.([^\W\d]\w*|<locals>))*")
"""A class as `module:qualname`."""


def _unusable(field: str, value: object) -> str:
    """Why an edit cannot set a field to a value that the language allows; "" if it can."""
    if isinstance(value, str) and value.startswith("{"):
        return "it can refer to nothing but what stood there: write a value"
    if field == "topic" and not (isinstance(value, str) and is_topic(value)):
        return "no activity can have this name"
    if field == "retry.nonRetryable" and isinstance(value, list):
        wrong = [name for name in value if ":" in name and not _CLASS.fullmatch(name)]
        if wrong:
            return f"{wrong[0]!r:.100} names no class: write `module:qualname`, or the bare name"
    return ""


def _changed(base: Plain, edited: Plain) -> Iterator[str]:
    for key in sorted(base.keys() | edited.keys()):
        one, other = base.get(key), edited.get(key)
        if one != other and not (_empty(one) and _empty(other)):
            yield key


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, (Mapping, list, tuple)) and not value)
