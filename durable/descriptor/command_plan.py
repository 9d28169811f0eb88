"""Command plans: a generated graph, compiled to lookups by the names of commands.

A turn of a function issues commands. Each takes the transition of its graph that matches its name,
to the activity behind it: what that says (topic, task queue, retry policy, timeouts, priority) is
what happens, and what the call itself overrode by `.options(…)` lies over it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any, Final, TypeVar

from durable.descriptor.commands import (
    ACTIVITY,
    CHILD,
    GRAPH,
    RETRY,
    TIMEOUTS,
    TIMER,
    Plain,
    is_generated_id,
)
from durable.descriptor.edits import (
    EDITABLE,
    SHARED,
    TRANSITION,
    Edit,
    Edited,
    activity_of,
    transitions_of,
)
from durable.errors import DescriptorError
from durable.protocol.commands import StartActivity, StartChild, StartGraph, StartTimer
from durable.protocol.durations import seconds
from durable.protocol.options import ActivityOptions
from durable.protocol.retry import RetryPolicy

Routed = TypeVar(
    "Routed", StartActivity, StartChild, StartGraph, StartChild | StartGraph, StartTimer
)
Called = TypeVar("Called", StartChild, StartGraph, StartChild | StartGraph)


Option = tuple[str, Any]
"""The name of an option, and its value."""


@dataclass(frozen=True, slots=True)
class Target:
    """The activity behind a command.

    Args:
        topic: what serves it, None for the command's own name.
        options: its options, None for those that the command carries.
        fixed: those of them, by the names of options ("retry.maximum_attempts" for one of the
            policy), that hold for what the command carries.
    """

    topic: str | None
    options: ActivityOptions | None
    fixed: tuple[Option, ...] = ()


class CommandPlan:
    """How the commands of one workflow are carried out, on one version of its graph.

    Args:
        queue: the task queue of its graph.
        workflow: its name.
        version: of its graph.
        edit: the number of the deployment whose edits are in it, 0 for none.
        targets: the activity behind each command that the graph lists; None where no transition
            leads to one.
    """

    __slots__ = ("_known", "_other", "_queue", "_targets", "edit", "version", "workflow")

    def __init__(
        self,
        queue: str,
        workflow: str,
        version: str,
        edit: int,
        targets: Mapping[str, Target | None],
    ) -> None:
        self._queue, self.workflow = queue, workflow
        self.version, self.edit = version, edit
        self._targets = targets
        self._other = targets.get(ACTIVITY)
        self._known: dict[tuple[str, frozenset[str], ActivityOptions], ActivityOptions] = {}

    def route(self, step: Routed) -> Routed:
        """The step as it is to be carried out.

        Raises `DescriptorError` when no transition of the graph leads anywhere with this command.
        """
        if isinstance(step, StartActivity):
            return self._activity(step)
        command = _COMMANDS[type(step)]
        target = self._targets.get(command)
        if target is None:
            raise self._lost(step, command)
        return step if isinstance(step, StartTimer) else _with_fixed(step, target)

    def _activity(self, step: StartActivity) -> StartActivity:
        target = self._targets.get(step.name, self._other)
        if target is None:
            raise self._lost(step, step.name if step.name in self._targets else ACTIVITY)
        plain = target.options is step.options and target.topic == step.name
        if plain and not (step.topic or target.fixed):
            return step  # as most: neither edited nor called with overrides
        options = target.options
        if options is None:
            options = step.options
        if (options is not step.options and step.overrides) or target.fixed:
            options = self._laid_over(target, step)
        topic = "" if target.topic is None or target.topic == step.name else target.topic
        if options is step.options and topic == step.topic:
            return step
        return StartActivity(
            step.number, step.name, step.input, options, step.site, topic, step.overrides
        )

    def _laid_over(self, target: Target, step: StartActivity) -> ActivityOptions:
        """What the activity says, with what the call overrode."""
        key = step.name, step.overrides, step.options
        known = self._known.get(key)
        if known is None:
            base = step.options if target.options is None else target.options
            said = {k: v for k, v in target.fixed if k.partition(".")[0] not in step.overrides}
            policy = {k[6:]: said.pop(k) for k in tuple(said) if k.startswith("retry.")}
            if policy:
                said["retry"] = dataclasses.replace(said.get("retry", base.retry), **policy)
            said.update((name, getattr(step.options, name)) for name in step.overrides)
            known = dataclasses.replace(base, **said)
            if len(self._known) < KNOWN_MAX:
                self._known[key] = known
        return known

    def _lost(self, step: Routed, expected: str) -> DescriptorError:
        edited = f", edit {self.edit}" if self.edit else ""
        return DescriptorError(
            f"step {step.number} ({step.name}, at {step.site or 'an unknown place'}): no transition"
            f" of the graph {self.workflow!r} (version {self.version}{edited}) leads to"
            f" {expected!r}; the run waits until one does: `durable deploy FILE --open-runs` or"
            f" `durable deploy --reset --open-runs --queue {quote(self._queue)}`, then"
            " `durable resume`"
        )


def _with_fixed(step: Called, target: Target) -> Called:
    """A child or graph with what its activity fixes, unless the call itself has set it."""
    fixed = {name: value for name, value in target.fixed if name not in step.overrides}
    if not fixed:
        return step
    if isinstance(step, StartGraph):
        return dataclasses.replace(step, app=fixed.get("task_queue", step.app))
    return dataclasses.replace(step, options=dataclasses.replace(step.options, **fixed))


_COMMANDS: Final = {StartChild: CHILD, StartTimer: TIMER, StartGraph: GRAPH}
KNOWN_MAX: Final = 10_000  # sets of overridden options of one graph that are kept put together


def compile_commands(
    base: Plain, edited: Edited, workflow: str, edit: int, declared: Mapping[str, ActivityOptions]
) -> CommandPlan:
    """The plan of one workflow.

    Args:
        base: the app as it was generated, as plain data.
        edited: the same with edits laid over it, or itself.
        workflow: the name of the workflow.
        edit: the number of the deployment that brought the edits, 0 for none.
        declared: options of the activities from which `base` was generated, by name.
    """
    app = edited.app
    graph = next(g for g in app["graphs"] if g["subscribes"] == workflow)
    original = next(g for g in base["graphs"] if g["subscribes"] == workflow)
    ways = transitions_of(app, graph)
    targets: dict[str, Target | None] = {}
    for name in transitions_of(base, original):
        found = activity_of(app, graph, ways[name]) if name in ways else None
        if is_generated_id(name):
            targets[name] = None if found is None else _referring(found)
        elif found is None:
            targets[name] = None
        else:
            unchanged = found is activity_of(base, original, name)
            options = declared.get(name) if unchanged else None
            targets[name] = Target(str(found["topic"]), options or options_of(found))
    targets |= _registered_elsewhere(edited.inert, targets.get(ACTIVITY))
    return CommandPlan(str(app["id"]), workflow, str(graph["version"]), edit, targets)


def _registered_elsewhere(edits: Iterable[Edit], other: Target | None) -> dict[str, Target | None]:
    """What edits of shared activities say of those that another worker registers."""
    fixed: dict[str, list[Option] | None] = {}
    for edit in edits:
        if edit.graph != SHARED:
            continue
        if edit.field in ("", TRANSITION):
            fixed[edit.activity] = None
        elif (said := fixed.setdefault(edit.activity, [])) is not None:
            said += _option(edit.field, edit.value)
    return {
        name: None
        if said is None or other is None
        else Target(dict(said).get("topic"), None, (*other.fixed, *_without_topic(said)))
        for name, said in fixed.items()
    }


def _without_topic(said: Iterable[Option]) -> list[Option]:
    return [(name, value) for name, value in said if name != "topic"]


def _option(field: str, value: object) -> list[Option]:
    """One field that an edit sets, or takes out (None), as an option.

    A field of a later version of durable is left out: its meaning is not known here.
    """
    if field not in EDITABLE and field.removeprefix("retry.") not in RETRY:
        return []
    if field.startswith("retry."):
        name = RETRY[field[6:]]
        policy = policy_of({} if value is None else {field[6:]: value})
        return [(f"retry.{name}", getattr(policy, name))]
    if value is None:
        name = {"taskQueue": "task_queue", **TIMEOUTS}.get(field, field)
        return [(name, 0 if name == "priority" else None)]
    return [("topic", value)] if field == "topic" else _stated({field: value})


def options_of(activity: Plain) -> ActivityOptions:
    """The options that a worker activity states; defaults for what it does not say."""
    return ActivityOptions(**dict(_stated(activity)))


def _referring(activity: Plain) -> Target:
    """An activity that refers to what commands carry: what it fixes all the same."""
    return Target(None, None, tuple(_stated(activity)))


def _stated(activity: Plain) -> list[Option]:
    """What an activity says itself, as options; references are left out."""
    found: list[Option] = []
    for field, value in activity.items():
        if isinstance(value, str) and value.startswith("{"):
            continue
        if field == "taskQueue":
            found.append(("task_queue", value))
        elif field == "priority":
            found.append((field, value))
        elif field == "retry" and not isinstance(value, str):
            found.append((field, policy_of(value)))
        elif field in TIMEOUTS:
            found.append((TIMEOUTS[field], seconds(value)))
    return found


def policy_of(retry: Plain) -> RetryPolicy:
    """The retry policy that a descriptor states."""
    given = {RETRY[key]: value for key, value in retry.items() if key in RETRY}
    if "non_retryable" in given:
        given["non_retryable"] = tuple(given["non_retryable"])
    return RetryPolicy(**given)
