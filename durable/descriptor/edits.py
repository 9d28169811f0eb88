"""Edits: what operators changed of a generated descriptor, as differences from it.

A worker generates the descriptor of its task queue from its functions, and lays the edits that are
in force over it. An edit names one field of one activity, so that it goes on to hold when a new
build changes others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from durable.descriptor.commands import TIMEOUTS, Draft, Plain, on_command
from durable.protocol.durations import seconds

SHARED: Final = ""
"""The graph of edits of what all graphs of an app share."""

TRANSITION: Final = "transition"
"""The field of an edit that leads the command of an activity elsewhere, or nowhere."""

EDITABLE: Final = frozenset({"topic", "taskQueue", "priority", *TIMEOUTS})
"""The fields that edits may change, beside those of the retry policy and transitions."""

_DURATIONS: Final = frozenset({*TIMEOUTS, "retry.maximumInterval", "retry.initialInterval"})


@dataclass(frozen=True, slots=True)
class Edit:
    """One field that an operator has set.

    Args:
        graph: the workflow whose graph it is; `SHARED` for what all graphs of the app share.
        activity: the activity's id.
        field: its field, "retry.maximumAttempts" for one of the policy; `TRANSITION` for where the
            command of this name leads; "" for the activity itself, which the edit removes.
        value: what it is set to, None where it is taken out, so that the default holds.
        base: what the descriptor said to which the edit was made, None for nothing.
    """

    graph: str
    activity: str
    field: str
    value: object
    base: object

    @property
    def path(self) -> str:
        """Where it stands, as people write it.

        Example:
            >>> Edit(SHARED, "charge", "retry.maximumAttempts", 5, 3).path
            'shared.charge.retry.maximumAttempts'
        """
        return ".".join(
            part for part in (self.graph or "shared", self.activity, self.field) if part
        )

    def is_below(self, path: str) -> bool:
        """Whether it stands at a path, or below it; everything is below "".

        Names that contain dots count as wholes: "shared.charge" is not above "shared.charge.card".

        Example:
            >>> edit = Edit("fulfil", "charge", "retry.maximumAttempts", 5, 3)
            >>> edit.is_below("fulfil.charge.retry"), edit.is_below("fulfil.cha"), edit.is_below("")
            (True, False, True)
        """
        names = [self.graph or "shared", self.activity, *self.field.split(".")]
        return not path or any(".".join(names[: n + 1]) == path for n in range(len(names)))


@dataclass(frozen=True, slots=True)
class Edited:
    """A descriptor with edits laid over it.

    Attributes:
        app: the app as plain data.
        inert: edits that changed nothing, since what they name is not there. Those of shared
            activities hold for commands of their names all the same: another worker registers them.
        contested: edits of fields for which this build says something else than the descriptor that
            was edited, each with what it says; the edits hold.
    """

    app: Plain
    inert: tuple[Edit, ...]
    contested: tuple[tuple[Edit, object], ...]


def fields_of(activity: Plain) -> dict[str, object]:
    """The editable fields of an activity, those of its retry policy by their paths."""
    found = {key: value for key, value in activity.items() if key in EDITABLE}
    retry = activity.get("retry")
    if isinstance(retry, Mapping):
        found.update((f"retry.{key}", value) for key, value in retry.items())
    elif retry is not None:
        found["retry"] = retry
    return found


def same(field: str, one: object, other: object) -> bool:
    """Whether two values of a field mean the same, as "5 minutes" and "300s" do."""
    if one == other or field not in _DURATIONS or one is None or other is None:
        return one == other
    reference = any(isinstance(value, str) and value.startswith("{") for value in (one, other))
    return not reference and seconds(one) == seconds(other)  # type: ignore[arg-type]


def command_of(transition: Plain) -> str:
    """The command that takes a transition of a function."""
    return str(transition["conditions"]["match"][0]["expected"])


def reentrant_of(graph: Plain) -> str:
    """The activity of a generated graph that is the function itself."""
    found = (aid for aid, said in graph["activities"].items() if said.get("reentrant"))
    return str(next(found))


def transitions_of(app: Plain, graph: Plain) -> dict[str, str]:
    """Where each command of a function leads; a graph's own transitions before those shared."""
    shared = app.get("shared", {}).get("transitions", ())
    own = graph.get("transitions", {}).get(reentrant_of(graph), ())
    return {command_of(t): str(t["to"]) for t in (*shared, *own)}


def activity_of(app: Plain, graph: Plain, activity: str) -> Plain | None:
    """An activity of a graph: its own, else the one that is shared."""
    own = graph["activities"].get(activity)
    found: Plain | None = own or app.get("shared", {}).get("activities", {}).get(activity)
    return found


def destination(app: Plain, edit: Edit) -> tuple[str, str | None] | None:
    """The task queue and the activity's name to which an edit has calls go, None: to none.

    Args:
        app: the app with the edit laid over it.
        edit: of a task queue, a topic or a transition; others have calls go where they went.

    The name is None where each call carries it, as those of children do.
    """
    is_taken_out = edit.field == TRANSITION and edit.value is None
    if is_taken_out or edit.field not in ("taskQueue", "topic", TRANSITION):
        return None
    target = str(edit.value) if edit.field == TRANSITION else edit.activity
    graph = next((g for g in app.get("graphs", ()) if g["subscribes"] == edit.graph), None)
    found = activity_of(app, graph or {"activities": {}}, target)
    if found is None:  # another build has it
        found = {"topic": edit.activity, edit.field: edit.value}
    if "topic" not in found:
        return None
    topic, queue = found["topic"], found.get("taskQueue") or "{"
    return app["id"] if queue.startswith("{") else queue, None if topic[0] == "{" else topic


def lay_over(app: Plain, edits: Iterable[Edit]) -> Edited:
    """The app with the edits; what it was given is left as it is.

    Those of what is shared come first, and those of single graphs over them.
    """
    draft = _Draft(app)
    for edit in sorted(edits, key=lambda e: (e.graph, e.activity, e.field)):
        draft.set(edit)
    return Edited(draft.app, tuple(draft.inert), tuple(draft.contested))


class _Draft:
    """An app that is being edited: each part is copied before it is changed."""

    def __init__(self, app: Plain) -> None:
        self._base = app
        given: Plain = app.get("shared", {})
        shared = {
            "activities": dict(given.get("activities", {})),
            "transitions": list(given.get("transitions", ())),
        }
        self._bases = {g["subscribes"]: g for g in app.get("graphs", ())}
        self._graphs = {name: _copy(graph) for name, graph in self._bases.items()}
        self._shared: Draft = shared
        self.app: Plain = {**app, "shared": shared, "graphs": list(self._graphs.values())}
        self.inert: list[Edit] = []
        self.contested: list[tuple[Edit, object]] = []

    def set(self, edit: Edit) -> None:
        """Lay one edit over."""
        found = self._said(edit)
        if found is None:
            self.inert.append(edit)
            return
        said = found[0]
        if not same(edit.field, said, edit.base) and not same(edit.field, said, edit.value):
            self.contested.append((edit, said))
        part = self._shared if edit.graph == SHARED else self._graphs[edit.graph]
        if edit.field == TRANSITION:
            self._lead(self._way(part), edit)
        elif edit.field:
            own = activity_of(self.app, part, edit.activity)
            part["activities"][edit.activity] = _with(own or {}, edit.field, edit.value)
        else:
            part["activities"].pop(edit.activity, None)
            way = self._way(part)
            way[:] = [t for t in way if t["to"] != edit.activity]

    def _said(self, edit: Edit) -> tuple[object] | None:
        """What this build says where an edit stands, in a tuple; None: there is no such place."""
        if edit.graph == SHARED:
            shared: Plain = self._base.get("shared", {})
            activity = shared.get("activities", {}).get(edit.activity)
            ways = {command_of(t): t["to"] for t in shared.get("transitions", ())}
        elif graph := self._bases.get(edit.graph):
            activity = activity_of(self._base, graph, edit.activity)
            ways = transitions_of(self._base, graph)
        else:
            return None
        if edit.field == TRANSITION:
            return (ways[edit.activity],) if edit.activity in ways else None
        if activity is None:
            return None
        return (fields_of(activity).get(edit.field) if edit.field else edit.base,)

    def _way(self, part: Draft) -> list[Plain]:
        """The transitions of a part, to be changed in place."""
        if part is self._shared:
            found: list[Plain] = part["transitions"]
            return found
        function = reentrant_of(part)
        own = list(part["transitions"].get(function, ()))
        part["transitions"] = {**part["transitions"], function: own}
        return own

    def _lead(self, way: list[Plain], edit: Edit) -> None:
        for place, transition in enumerate(way):
            if command_of(transition) == edit.activity:
                if edit.value is None:
                    del way[place]
                else:
                    way[place] = {**transition, "to": edit.value}
                return
        if edit.value is not None:  # of one workflow, where the shared one leads elsewhere
            way.append(on_command(edit.activity, str(edit.value)))


def _copy(graph: Plain) -> Draft:
    return {**graph, "activities": dict(graph["activities"])}


def _with(activity: Plain, field: str, value: object) -> Plain:
    """The activity with one field set, or taken out (None)."""
    key, _, inner = field.partition(".")
    changed = dict(activity)
    if inner:
        policy = activity.get("retry")
        value = _with(policy if isinstance(policy, Mapping) else {}, inner, value) or None
    if value is None:
        changed.pop(key, None)
    else:
        changed[key] = value
    return changed
