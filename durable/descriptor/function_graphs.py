"""What is wrong with graphs of functions, and with what an app shares between them.

Functions carry out less than engines do of graphs that are written by hand: what they would leave
aside is refused, and so is a transition that no command takes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from pydantic import JsonValue

from durable.descriptor.commands import (
    ACTIVITY,
    CHILD,
    COMMAND,
    GRAPH,
    SIGNAL,
    TIMEOUTS,
    TIMER,
    is_generated_id,
)
from durable.descriptor.expressions.expression import Lookup, Path
from durable.descriptor.expressions.pipe import compile_into
from durable.descriptor.findings import Finding
from durable.descriptor.identifiers import section_in
from durable.descriptor.model import (
    Activity,
    App,
    Await,
    Graph,
    Hook,
    Transition,
    Trigger,
    Worker,
    is_reentrant,
)
from durable.descriptor.parts import HookPort, Part, Port, Retry
from durable.descriptor.shared import command_of
from durable.descriptor.value_positions import key_of
from durable.descriptor.values import duration_problem
from durable.errors import ConfigurationError
from durable.protocol.codes import PENDING
from durable.protocol.durations import seconds
from durable.protocol.limits import check_name, check_priority, check_queue
from durable.protocol.retry import FOR_EVER, RetryPolicy

_TIMEOUTS: Final = tuple(f"{option}_timeout" for option in TIMEOUTS.values())

ONLY_FUNCTIONS: Final = ("task_queue", *_TIMEOUTS, "priority")
"""The attributes of activities that only graphs of functions have."""

SECTION_PROBLEM: Final = "an id cannot contain .input, .output or .hook: see references"

_ALWAYS: Final = frozenset({"type", "title", "settings"})
_FUNCTION: Final = _ALWAYS | {"topic", "reentrant", "priority"}
_HONOURED: Final[Mapping[type[Part], frozenset[str]]] = MappingProxyType(
    {
        Trigger: _ALWAYS,
        Worker: _ALWAYS | {"topic", "retry", *ONLY_FUNCTIONS},
        Await: _ALWAYS | {"topic", "task_queue", "priority"},
        Hook: _ALWAYS | {"sleep", "hook"},
    }
)
_GRAPH: Final = frozenset(
    {"subscribes", "version", "title", "input", "output", "activities", "transitions"}
)

_NO_NUMBER: Final = (
    "null is not a number of attempts: leave it out for the default,"
    f" {RetryPolicy().maximum_attempts}, or write {FOR_EVER} to try for ever"
)
_WANTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        ACTIVITY: "an activity of type worker",
        CHILD: "an activity of type await",
        TIMER: "a hook with `sleep`",
        SIGNAL: "a hook with a topic under `hook`",
        GRAPH: "an activity of type await",
    }
)
"""What carries out the commands that do not name an activity."""


def shared_findings(app: App) -> Iterator[Finding]:
    """What is wrong with what the app shares between its graphs of functions."""
    shared = app.shared
    if shared is None:
        return
    at: Path = ("app", "shared")
    if app.graphs and not any(graph.function for graph in app.graphs):
        yield Finding(
            at, "nothing has it: it is for graphs of functions, which have a reentrant activity"
        )
    for aid, activity in shared.activities.items():
        where: Path = (*at, "activities", aid)
        if section_in(aid):
            yield Finding(where, SECTION_PROBLEM)
        if is_generated_id(aid):
            yield Finding(where, f"{aid!r} refers to the function of its graph: put it there")
        elif not isinstance(activity, Worker) or activity.reentrant:
            yield Finding(
                where, "what is shared is of type worker, and not reentrant: each function may call"
            )
        else:
            yield from _activity(aid, activity, "", where)
    yield from _transitions(shared.transitions, shared.activities, (*at, "transitions"))


def function_findings(app: App, graph: Graph) -> Iterator[Finding]:
    """What is wrong with a graph of functions, with paths below the graph."""
    function = graph.function or ""
    yield from _unhonoured(graph, _GRAPH, ())
    for aid, activity in graph.activities.items():
        where: Path = ("activities", aid)
        if is_reentrant(activity) and aid != function:
            message = f"a graph has one function, and the activity {function!r} is it already"
            yield Finding((*where, "reentrant"), message)
        elif type(activity) not in _HONOURED:
            yield Finding(
                (*where, "type"), f"no command leads to an activity of type {activity.type}"
            )
        else:
            yield from _activity(aid, activity, function, where)
    shared = app.shared.activities if app.shared else {}
    yield from _ways(graph, function, {**shared, **graph.activities})


def _ways(graph: Graph, function: str, activities: Mapping[str, Activity]) -> Iterator[Finding]:
    """The transitions of a graph: from the trigger to the function, and on for each command."""
    reached = False
    for source, transitions in graph.transitions.items():
        at: Path = ("transitions", source)
        if source == function:
            yield from _transitions(transitions, activities, at)
        elif source not in graph.activities:
            yield Finding(at, f"there is no activity {source!r} in this graph")
        elif not isinstance(graph.activities[source], Trigger):
            yield Finding(
                at, f"when {source!r} has settled the function goes on: nothing follows it"
            )
        else:
            reached = True
            for index, transition in enumerate(transitions):
                if transition.to != function or transition.conditions is not None:
                    yield Finding(
                        (*at, index),
                        f"the trigger leads to the function, {function!r}, without conditions",
                    )
    if not reached:
        yield Finding(("activities", function), "no transition leads to it from the trigger")


def _transitions(
    transitions: Collection[Transition], activities: Mapping[str, Activity], at: Path
) -> Iterator[Finding]:
    """Those from a function: each is for a command, and leads to what can carry it out."""
    seen: dict[str, int] = {}
    for index, transition in enumerate(transitions):
        where: Path = (*at, index)
        command = command_of(transition)
        if command is None:
            yield Finding(
                where,
                f"no command takes it: write conditions: {{code: {PENDING}, match: [{{expected:"
                f" NAME, actual: '{COMMAND}'}}]}}",
            )
            continue
        if seen.setdefault(command, index) != index:
            message = f"the command {command!r} takes transition {seen[command]} already"
            yield Finding(where, message)
        target = activities.get(transition.to)
        if target is None:
            message = f"it leads nowhere: there is no activity {transition.to!r}"
            yield Finding((*where, "to"), message)
        elif not _carries_out(target, command):
            wanted = _WANTED.get(command, _WANTED[ACTIVITY])
            if is_generated_id(command) and command not in _WANTED:
                message = f"there is no command {command!r}; there are {', '.join(_WANTED)}"
                yield Finding((*where, "conditions", "match", 0, "expected"), message)
            else:
                message = f"{transition.to!r} cannot carry out {command!r}, which needs {wanted}"
                yield Finding((*where, "to"), message)


def _carries_out(activity: Activity, command: str) -> bool:
    match command:
        case _ if command in (CHILD, GRAPH):
            return isinstance(activity, Await)
        case _ if command == TIMER:
            return isinstance(activity, Hook) and activity.sleep is not None
        case _ if command == SIGNAL:
            return isinstance(activity, Hook) and bool(activity.hook and activity.hook.topic)
        case _ if is_generated_id(command) and command != ACTIVITY:
            return False
    return isinstance(activity, Worker) and not activity.reentrant


def _activity(aid: str, activity: Activity, function: str, at: Path) -> Iterator[Finding]:
    """The fields of an activity: those that functions honour, with values that they may have."""
    honoured = _FUNCTION if is_reentrant(activity) else _HONOURED[type(activity)]
    if aid == GRAPH:  # jobs of graphs have no priority
        honoured -= {"priority"}
    yield from _unhonoured(activity, honoured, at)
    source = function if is_generated_id(aid) else ""
    for name in ("topic", "sleep", "retry", *ONLY_FUNCTIONS):
        value = getattr(activity, name, None)
        if name not in honoured or (value is None and name != "topic"):
            continue
        where: Path = (*at, key_of(activity, name))
        if isinstance(value, Retry):
            for code in value.by_code:
                yield Finding((*where, code), "retries by code are for graphs written by hand")
            if "maximum_attempts" in value.model_fields_set and value.maximum_attempts is None:
                yield Finding((*where, "maximumAttempts"), _NO_NUMBER)
        else:
            yield from _value(activity, name, value, source, where)


def _unhonoured(part: Part, honoured: frozenset[str], at: Path) -> Iterator[Finding]:
    """Fields that say something, of which functions would take no notice."""
    for name in part.model_fields_set:
        value, field = getattr(part, name), type(part).model_fields[name]
        where: Path = (*at, key_of(part, name))
        if name not in honoured:
            if value != field.get_default(call_default_factory=True):
                yield Finding(where, "it has no effect in a graph of functions; leave it out")
        elif isinstance(value, (Port, HookPort)) and value.validate_:
            yield Finding(
                (*where, "validate"), "functions check data by their own types; leave it out"
            )


def _value(
    activity: Activity, name: str, value: JsonValue, function: str, at: Path
) -> Iterator[Finding]:
    """A literal; or, below the function that `function` names, a reference to what it asks for."""
    found: list[Finding] = []
    expression = compile_into(value, at, lambda *finding: found.append(Finding(*finding)))
    yield from found
    if found:
        return
    if expression.is_constant:
        if wrong := _out_of_range(activity, name, value):
            yield Finding(at, wrong)
        return
    reference = expression.reference if isinstance(expression, Lookup) else None
    if not function:
        yield Finding(at, "it must be a literal value: nothing is computed here")
    elif reference is None or (reference.root, reference.section) != (function, "output"):
        yield Finding(
            at,
            "it must be a literal value, or what the command carries: a reference such as"
            f" {{{function}.output.data.{key_of(activity, name)}}}",
        )


def _out_of_range(activity: Activity, name: str, value: JsonValue) -> str | None:
    """Why a literal value cannot be the field's, None if it can."""
    if name == "topic":
        return None if value and isinstance(value, str) else "a topic is text"
    if name == "retry":
        return "it must be a mapping of names to values"
    if name == "sleep" or name in _TIMEOUTS:
        wrong = duration_problem(value)
        if wrong is None and name in _TIMEOUTS and not _is_longer_than_nothing(value):
            return "it leaves no time; leave it out for no limit"
        return wrong
    try:
        if name == "task_queue":
            check = check_queue if isinstance(activity, Await) else check_name
            check("taskQueue", value, "")
        elif name == "priority":
            check_priority(value, "")
    except ConfigurationError as error:
        return str(error).removeprefix(": ")
    return None


def _is_longer_than_nothing(duration: JsonValue) -> bool:
    if isinstance(duration, str):
        return seconds(duration) > 0
    return isinstance(duration, (int, float)) and duration > 0
