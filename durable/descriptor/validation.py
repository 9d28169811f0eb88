"""Whether an app holds together. All findings come at once, each with its path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from durable.descriptor.escalations import escalation_problems
from durable.descriptor.expressions.expression import Literal, Path
from durable.descriptor.expressions.pipe import compile_into
from durable.descriptor.findings import Finding
from durable.descriptor.function_graphs import (
    ONLY_FUNCTIONS,
    SECTION_PROBLEM,
    function_findings,
    shared_findings,
)
from durable.descriptor.identifiers import section_in
from durable.descriptor.model import (
    App,
    Await,
    Cycle,
    Graph,
    Hook,
    Interrupt,
    Signal,
    Trigger,
    Worker,
)
from durable.descriptor.operations import complaints
from durable.descriptor.schema_checks import schema_problems
from durable.descriptor.stats import facet_problems, stats_problems
from durable.descriptor.tree import Tree, tree_of
from durable.descriptor.value_positions import given, key_of
from durable.descriptor.values import value_findings


def findings_of(app: App) -> list[Finding]:
    """Everything that is wrong with the app, as far as it shows without running it."""
    found: list[Finding] = [*_topics(app), *shared_findings(app)]
    if not app.graphs and app.shared is None:
        found.append(Finding(("app", "graphs"), "it must not be empty"))
    for index, graph in enumerate(app.graphs):
        at: Path = ("app", "graphs", index)
        below = _of_graph(app, graph) if graph.function is None else function_findings(app, graph)
        found.extend(Finding((*at, *f.path), f.message) for f in (*_entry(graph), *below))
    return found


def _of_graph(app: App, graph: Graph) -> Iterator[Finding]:
    """What is wrong with a graph that is written by hand."""
    tree = tree_of(graph)
    for check in (_shape, _transitions, _cycles, _hooks, value_findings, _extras, _state):
        yield from check(graph, tree)
    yield from _targets(app, graph)
    yield from _of_functions(graph)


def _of_functions(graph: Graph) -> Iterator[Finding]:
    """Fields that only graphs of functions have."""
    for aid, activity in graph.activities.items():
        at: Path = ("activities", aid)
        for name in ONLY_FUNCTIONS:
            if getattr(activity, name, None) is not None:
                message = "only graphs of functions have it, in which an activity is reentrant"
                yield Finding((*at, key_of(activity, name)), message)
        if isinstance(activity, Worker) and isinstance(activity.retry, str):
            yield Finding((*at, "retry"), "it must be a mapping of names to values")


def _topics(app: App) -> Iterator[Finding]:
    """Topics of graphs and of hooks are unique in an app."""
    seen: dict[str, int] = {}
    hook_topics: dict[str, int] = {}
    for index, graph in enumerate(app.graphs):
        if graph.subscribes in seen:
            first = seen[graph.subscribes]
            yield Finding(
                ("app", "graphs", index, "subscribes"),
                f"graph {first} subscribes to {graph.subscribes!r} too; topics are unique",
            )
        seen.setdefault(graph.subscribes, index)
        for topic, path in _hook_topics(graph):
            if hook_topics.setdefault(topic, index) != index:
                yield Finding(
                    ("app", "graphs", index, *path),
                    f"graph {hook_topics[topic]} has hooks on {topic!r} too; topics are unique",
                )


def _hook_topics(graph: Graph) -> Iterator[tuple[str, Path]]:
    for topic in graph.hooks:
        yield topic, ("hooks", topic)
    for aid, activity in graph.activities.items():
        if isinstance(activity, Hook) and activity.hook and activity.hook.topic:
            yield activity.hook.topic, ("activities", aid, "hook", "topic")


def _entry(graph: Graph) -> Iterator[Finding]:
    """One trigger, and ids that references can name."""
    triggers = [aid for aid, part in graph.activities.items() if isinstance(part, Trigger)]
    if len(triggers) != 1:
        names = f": {', '.join(triggers)}" if triggers else ""
        yield Finding(("activities",), f"a graph has one trigger; this has {len(triggers)}{names}")
    for aid in graph.activities:
        if section_in(aid):
            yield Finding(("activities", aid), SECTION_PROBLEM)


def _shape(graph: Graph, tree: Tree) -> Iterator[Finding]:
    """Every activity lies below the trigger, and the only way round is by a cycle."""
    triggers = any(isinstance(part, Trigger) for part in graph.activities.values())
    for aid in graph.activities:
        path: Path = ("activities", aid)
        if aid in tree.circle:
            names = ", ".join(tree.circle)
            yield Finding(
                path,
                f"transitions lead in a circle ({names}); what is entered again is named by an"
                " activity of type cycle",
            )
        elif triggers and aid not in tree.reachable:
            yield Finding(path, "no transition leads to it from the trigger")


def _transitions(graph: Graph, _tree: Tree) -> Iterator[Finding]:
    for source, transitions in graph.transitions.items():
        at: Path = ("transitions", source)
        activity = graph.activities.get(source)
        if activity is None:
            yield Finding(at, f"there is no activity {source!r} in this graph")
        elif transitions and isinstance(activity, Cycle):
            yield Finding(at, "a cycle goes on at its ancestor; its transitions are never followed")
        elif transitions and isinstance(activity, Interrupt) and activity.target is None:
            yield Finding(at, "an interrupt of the job itself ends it; nothing follows")
        for index, transition in enumerate(transitions):
            target = graph.activities.get(transition.to)
            if target is None:
                message = f"it leads nowhere: there is no activity {transition.to!r} in this graph"
                yield Finding((*at, index, "to"), message)
            elif isinstance(target, Trigger):
                yield Finding((*at, index, "to"), "a trigger is entered by starting a job only")
            conditions = transition.conditions
            for place, match in enumerate(conditions.match if conditions else ()):
                path = (*at, index, "conditions", "match", place, "expected")
                yield from _expected(match.expected, path)


def _expected(value: object, path: Path) -> Iterator[Finding]:
    """In a transition `expected` is a literal, compared strictly."""
    if isinstance(value, (list, dict)):
        yield Finding(path, "it can never be equal: arrays and objects are compared by identity")
    elif isinstance(value, str) and not isinstance(compile_into(value), Literal):
        yield Finding(path, "`expected` is taken literally; put the reference into `actual`")


def _cycles(graph: Graph, tree: Tree) -> Iterator[Finding]:
    for aid, activity in graph.activities.items():
        if not isinstance(activity, Cycle):
            continue
        path: Path = ("activities", aid, "ancestor")
        target = graph.activities.get(activity.ancestor)
        if target is None:
            yield Finding(path, f"there is no activity {activity.ancestor!r} in this graph")
        elif activity.ancestor not in tree.ancestors.get(aid, ()):
            yield Finding(path, f"{activity.ancestor!r} does not lie above {aid!r}")
        elif activity.ancestor not in tree.always.get(aid, ()):
            yield Finding(path, f"{activity.ancestor!r} does not lie above {aid!r} on every way")
        elif not isinstance(target, (Hook, Worker, Await)):
            yield Finding(path, "only a hook, a worker or an await can be entered again")


def _hooks(graph: Graph, _tree: Tree) -> Iterator[Finding]:
    own = {
        aid: activity.hook.topic
        for aid, activity in graph.activities.items()
        if isinstance(activity, Hook) and activity.hook and activity.hook.topic
    }
    shared = [topic for topic, count in Counter(own.values()).items() if count > 1]
    for aid, topic in own.items():
        if topic in shared:
            message = f"several hooks wait at {topic!r}; distinguish them by rules under `hooks`"
            yield Finding(("activities", aid, "hook", "topic"), message)
    topics: dict[str, str] = {}
    for topic, rules in graph.hooks.items():
        if not rules:
            yield Finding(("hooks", topic), "it has no rule; name the hook that waits here")
        for index, rule in enumerate(rules):
            path: Path = ("hooks", topic, index)
            target = graph.activities.get(rule.to)
            if target is None:
                yield Finding((*path, "to"), f"there is no activity {rule.to!r} in this graph")
            elif not isinstance(target, Hook):
                yield Finding((*path, "to"), f"{rule.to!r} is not a hook: it cannot wait")
            elif own.get(rule.to, topic) != topic or topics.setdefault(rule.to, topic) != topic:
                yield Finding((*path, "to"), f"{rule.to!r} waits at another topic already")
            if not (rule.conditions and rule.conditions.match):
                yield Finding(path, "it needs a match that says which job a signal is for")


def _targets(app: App, graph: Graph) -> Iterator[Finding]:
    """Fixed topics of await and signal are those of this app."""
    subscribed = {g.subscribes for g in app.graphs}
    signalled = {topic for g in app.graphs for topic, _ in _hook_topics(g)}
    for aid, activity in graph.activities.items():
        path: Path = ("activities", aid, "topic")
        topic = getattr(activity, "topic", None)
        if not isinstance(activity, (Worker, Await, Signal)):
            continue
        if not isinstance(topic, str | dict) or not topic:
            yield Finding(path, "a topic is text, a reference or a pipe")
        elif not isinstance(topic, str) or topic.startswith("{"):
            continue
        elif isinstance(activity, Await) and activity.app is None and topic not in subscribed:
            yield Finding(
                path,
                f"no graph of this app subscribes to {topic!r}; to start a workflow of that name,"
                " say on which task queue: `app: …`",
            )
        elif isinstance(activity, Signal) and topic not in signalled:
            yield Finding(path, f"no hook of this app waits at {topic!r}")
        elif isinstance(activity, Signal) and activity.subtype == "all":
            for key, message in facet_problems(app, activity):
                yield Finding(("activities", aid, key), message)


def _extras(graph: Graph, _tree: Tree) -> Iterator[Finding]:
    """Fields that have a meaning only together."""
    yield from (Finding(path, message) for path, message in schema_problems(graph))
    for aid, activity in graph.activities.items():
        at: Path = ("activities", aid)
        if isinstance(activity, Trigger) and activity.stats is not None:
            for path, message in stats_problems(activity.stats):
                yield Finding((*at, "stats", *path), message)
        elif isinstance(activity, Hook) and activity.escalation is not None:
            for path, message in escalation_problems(graph, aid, activity.escalation):
                yield Finding((*at, "escalation", *path), message)
        elif isinstance(activity, Signal):
            for key, message in _facet(activity):
                yield Finding((*at, key), message)


def _state(graph: Graph, _tree: Tree) -> Iterator[Finding]:
    """Operations that are written down one by one; what an expression gives shows when it runs."""
    for aid, activity in graph.activities.items():
        if isinstance(activity.state, list):
            for place, message in complaints(activity.state):
                yield Finding(("activities", aid, "state", place), message)


def _facet(signal: Signal) -> Iterator[tuple[str, str]]:
    """The fields of a signal to all, and of a signal to one."""
    everyone = signal.subtype == "all"
    for name in ("key_name", "key_value"):
        if everyone and getattr(signal, name) is None:
            yield name, f"a signal to all needs `{name}`: it says which jobs are meant"
    for name in ("status", "code") if everyone else ("key_name", "key_value", "resolver", "scrub"):
        if given(signal, name) is not None:
            yield name, f"`{name}` belongs to a signal to {'one' if everyone else 'all'}"
