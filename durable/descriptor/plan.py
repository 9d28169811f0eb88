"""The compiled form of a graph: what the engine interprets. Frozen, and made by a pure function."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypedDict

from pydantic import JsonValue

from durable.descriptor.expressions.expression import Expression, Path
from durable.descriptor.expressions.pipe import compile_value
from durable.descriptor.model import (
    Activity,
    App,
    Cycle,
    Graph,
    Hook,
    HookRule,
    Signal,
    Trigger,
    Worker,
)
from durable.descriptor.parts import MappedPort, Retry, Stats
from durable.descriptor.queries import GRANULARITIES
from durable.descriptor.routes import Routes, compile_routes
from durable.descriptor.schema_checks import activity_checks, graph_checks
from durable.descriptor.schemas import Checker
from durable.descriptor.shared import with_shared
from durable.descriptor.tree import Tree, tree_of
from durable.descriptor.value_positions import PORTS, SINGLES, columns, given, key_of, measure_name
from durable.descriptor.wildcards import Wildcard, divide
from durable.errors import DescriptorError
from durable.protocol.retry import RetryPolicy


class Kind(StrEnum):
    """The kinds of activities."""

    TRIGGER = "trigger"
    WORKER = "worker"
    AWAIT = "await"
    HOOK = "hook"
    SIGNAL = "signal"
    INTERRUPT = "interrupt"
    CYCLE = "cycle"


@dataclass(frozen=True, slots=True)
class StatsPlan:
    """What a trigger measures.

    Attributes:
        key: names what the measures belong to.
        minutes: the length of a step of time; None for all time in one.
        measures: the kind of each measure, its name, and the value that is measured.
    """

    key: Expression
    minutes: int | None
    measures: tuple[tuple[str, str, Expression], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One activity, compiled. An expression is None where the document says nothing.

    Attributes:
        id: its id.
        kind: its kind.
        ancestors: all above it on some way, the trigger first.
        depths: how deep it can lie, 0 being the trigger, the deepest first; mostly there is one.
        ways: where branches come together in it: the number of each parent; else empty.
        routes: its outgoing transitions.
        revolves: whether it is entered again: by a cycle below it, or as it says `cycle: true`.
        cycles_to: of a cycle, the ancestor that it enters again.
        retry: of a worker, the policy that the document gives; None leaves it to the worker.
        hook_topic: of a hook, where it waits for a signal; None when it waits for none.
        input: builds the outbound data (worker, await) or the ancestor's new output (cycle).
        output: is merged over the activity's own output.
        job: is merged into the job's shared data.
        signal: of a signal, builds its payload.
        topic: of a worker its stream, of an await a graph's topic or a workflow's name, of a
            signal a hook's.
        app: of an await, the task queue of the workflow that it names.
        sleep: of a hook, seconds or a duration.
        awaits: of an await, whether to wait for the child's end.
        job_id: of a trigger, the id of the job.
        status, code: of a signal, the hook's answer. Of an interrupt `code` is the error's.
        target, reason, throw, descend, expire, stack: of an interrupt, its options.
        retries: of a worker, code -> the policy for errors of that code.
        computes: whether its `job.maps` call functions, which may give what JSON cannot hold.
        wildcards: the wildcard keys of its `job.maps`.
        emit: whether the job's state is published when it has settled.
        persist: whether the job then counts as ended, though it stays open.
        status_threshold: with how many open branches, or fewer, the job ends: instead of entering
            it, or once it has settled.
        telemetry: an object, the attributes of its span.
        entity: of a trigger, the kind of thing that the job is about.
        state: a list, operations on the job's attributes and entity.
        stats: of a trigger, what is measured.
        escalation: of a hook, an object, the columns of the escalation by their keys.
        to_all: of a signal, whether it is for all jobs with the facet `key_name`, `key_value`.
        resolver: of such a signal, builds the query that finds the jobs.
        scrub: of such a signal, whether the facet is forgotten afterwards.
        checks: by what its data is validated: `input`, `output`, `hook`, or the answer's code.
    """

    id: str
    kind: Kind
    ancestors: tuple[str, ...]
    depths: tuple[int, ...]
    routes: Routes
    ways: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    revolves: bool = False
    cycles_to: str | None = None
    retry: RetryPolicy | None = None
    hook_topic: str | None = None
    input: Expression | None = None
    output: Expression | None = None
    job: Expression | None = None
    signal: Expression | None = None
    topic: Expression | None = None
    app: Expression | None = None
    sleep: Expression | None = None
    awaits: Expression | None = None
    job_id: Expression | None = None
    status: Expression | None = None
    code: Expression | None = None
    target: Expression | None = None
    reason: Expression | None = None
    throw: Expression | None = None
    descend: Expression | None = None
    expire: Expression | None = None
    stack: Expression | None = None
    retries: Mapping[int, RetryPolicy] = field(default_factory=lambda: MappingProxyType({}))
    computes: bool = False
    wildcards: tuple[Wildcard, ...] = ()
    emit: Expression | None = None
    persist: Expression | None = None
    status_threshold: Expression | None = None
    telemetry: Expression | None = None
    entity: Expression | None = None
    state: Expression | None = None
    stats: StatsPlan | None = None
    escalation: Expression | None = None
    to_all: bool = False
    key_name: str | None = None
    key_value: Expression | None = None
    resolver: Expression | None = None
    scrub: Expression | None = None
    checks: Mapping[str, Checker] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def children(self) -> tuple[str, ...]:
        """The activities to which a transition leads, in the document's order."""
        return self.routes.targets


@dataclass(frozen=True, slots=True)
class HookKey:
    """How signals on a topic find the hook that waits.

    A hook registers with the values of `expected`, evaluated in its job; a signal is for it when
    the values of `actual`, evaluated with the payload as `{$self.hook.data}`, are strictly equal.
    Both are empty for a hook without rule, whose signals are addressed to the job itself.
    `rule` is the same for all rules that compare in the same way.
    """

    topic: str
    to: str
    rule: str
    expected: tuple[Expression, ...] = ()
    actual: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A graph, compiled.

    Attributes:
        app_id, app_version: the app it belongs to.
        version: the version of the graph, that of the app where the graph has none.
        subscribes, publishes: its topics.
        topics: those to which the graphs of the app subscribe, this one among them.
        expire: seconds that a finished job is kept, or None.
        persistent: whether its jobs outlive their end, or None.
        trigger: the id of its trigger.
        nodes: all activities by id, in the document's order.
        escalates: whether a hook of it may wait for a person.
        checks: by what its jobs' `input` and `output` are validated.
        hooks: topic -> the hooks that may wait there.
    """

    app_id: str
    app_version: str
    version: str
    subscribes: str
    publishes: str | None
    expire: Expression | None
    persistent: Expression | None = None
    trigger: str
    nodes: Mapping[str, Node]
    hooks: Mapping[str, tuple[HookKey, ...]]
    topics: frozenset[str] = frozenset()
    escalates: bool = False
    checks: Mapping[str, Checker] = field(default_factory=lambda: MappingProxyType({}))

    def node(self, aid: str) -> Node:
        """The activity with this id; `DescriptorError` if the graph has none."""
        try:
            return self.nodes[aid]
        except KeyError:
            raise DescriptorError(
                f"graph {self.subscribes!r}, version {self.version}, has no activity {aid!r}"
            ) from None


def compile_graph(app: App, graph: Graph) -> Plan:
    """Compile one graph of an app that was loaded or validated, with what the app shares.

    Raises `DescriptorError` for what validation would have found in an expression.

    Example:
        >>> from durable.descriptor.document import load
        >>> app = load("app: {id: a, version: 1, graphs: [{subscribes: t, activities: "
        ...            "{t1: {type: trigger}, w: {type: worker, topic: w}}, "
        ...            "transitions: {t1: [{to: w}]}}]}")
        >>> compile_graph(app, app.graphs[0]).nodes["w"].ancestors
        ('t1',)
    """
    graph = with_shared(app, graph)
    tree = tree_of(graph)
    trigger = next((a for a, part in graph.activities.items() if isinstance(part, Trigger)), None)
    if trigger is None:
        raise DescriptorError(f"graph {graph.subscribes!r} has no trigger")
    hooks = _hooks(graph)
    return Plan(
        app_id=app.id,
        app_version=app.version,
        version=graph.version or app.version,
        subscribes=graph.subscribes,
        publishes=graph.publishes,
        expire=_optional(graph, "expire"),
        persistent=_optional(graph, "persistent"),
        trigger=trigger,
        nodes=MappingProxyType(
            _nodes(graph, tree, {k.to: k.topic for ks in hooks.values() for k in ks})
        ),
        hooks=MappingProxyType(hooks),
        topics=frozenset(g.subscribes for g in app.graphs),
        escalates=any(getattr(a, "escalation", None) for a in graph.activities.values()),
        checks=MappingProxyType(graph_checks(graph)),
    )


def _optional(graph: Graph, name: str) -> Expression | None:
    value = given(graph, name)
    return None if value is None else compile_value(value, (name,))


def _nodes(graph: Graph, tree: Tree, waits: Mapping[str, str]) -> dict[str, Node]:
    revolving = {a.ancestor for a in graph.activities.values() if isinstance(a, Cycle)}
    nodes: dict[str, Node] = {}
    for aid, activity in graph.activities.items():
        ancestors = tree.ancestors.get(aid, ())
        nodes[aid] = Node(
            id=aid,
            kind=Kind(activity.type),
            ancestors=ancestors,
            depths=tree.depths.get(aid, ()),
            ways=MappingProxyType(_ways(tree, aid)),
            routes=compile_routes(graph.transitions.get(aid, ()), ("transitions", aid)),
            revolves=aid in revolving or bool(getattr(activity, "cycle", False)),
            cycles_to=activity.ancestor if isinstance(activity, Cycle) else None,
            hook_topic=waits.get(aid),
            checks=MappingProxyType(activity_checks(activity)),
            **_parts_of_kind(activity, ("activities", aid)),
            **_expressions(activity, ("activities", aid)),
        )
    return nodes


def _ways(tree: Tree, aid: str) -> dict[str, int]:
    parents = tree.parents.get(aid, ())
    return {parent: way for way, parent in enumerate(parents)} if len(parents) > 1 else {}


class _Parts(TypedDict, total=False):
    """What only some kinds of nodes have, beside expressions."""

    retry: RetryPolicy
    retries: Mapping[int, RetryPolicy]
    computes: bool
    wildcards: tuple[Wildcard, ...]
    stats: StatsPlan
    to_all: bool
    key_name: str | None


def _parts_of_kind(activity: Activity, at: Path) -> _Parts:
    found: _Parts = {}
    if activity.job is not None and activity.job.maps is not None:
        found["computes"] = "@" in json.dumps(activity.job.maps)
        found["wildcards"] = divide(activity.job.maps, (*at, "job", "maps"))[1]
    if isinstance(activity, Worker) and isinstance(activity.retry, Retry):
        found["retry"] = activity.retry.policy()
        found["retries"] = MappingProxyType(activity.retry.policies())
    elif isinstance(activity, Signal):
        found["to_all"] = activity.subtype == "all"
        found["key_name"] = activity.key_name
    elif isinstance(activity, Trigger) and activity.stats and activity.stats.key is not None:
        found["stats"] = _stats(activity.stats, activity.stats.key, (*at, "stats"))
    return found


def _stats(stats: Stats, key: JsonValue, at: Path) -> StatsPlan:
    compiled = (
        (m.measure, compile_value(m.target, (*at, "measures", i, "target")))
        for i, m in enumerate(stats.measures)
    )
    measures = tuple((kind, measure_name(target) or "", target) for kind, target in compiled)
    minutes = GRANULARITIES[stats.granularity or "5m"]
    return StatsPlan(compile_value(key, (*at, "key")), minutes, measures)


def _expressions(activity: Activity, at: Path) -> dict[str, Expression]:
    found: dict[str, Expression] = {}
    for name in PORTS:
        port = getattr(activity, name, None)
        if isinstance(port, MappedPort) and port.maps is not None:
            where = (*at, name, "maps")
            maps = divide(port.maps, where)[0] if name == "job" else port.maps
            found[name] = compile_value(maps, where)
    for name in SINGLES:
        if (value := given(activity, name)) is not None:
            key = key_of(activity, name)
            found["awaits" if key == "await" else name] = compile_value(value, (*at, key))
    if isinstance(activity, Trigger) and activity.stats and activity.stats.id is not None:
        found["job_id"] = compile_value(activity.stats.id, (*at, "stats", "id"))
    if isinstance(activity, Hook) and activity.escalation is not None:
        escalation = columns(activity.escalation)
        found["escalation"] = compile_value(escalation, (*at, "escalation"))
    return found


def _hooks(graph: Graph) -> dict[str, tuple[HookKey, ...]]:
    hooks = {
        topic: tuple(_key(topic, rule, ("hooks", topic, i)) for i, rule in enumerate(rules))
        for topic, rules in graph.hooks.items()
    }
    ruled = {key.to for keys in hooks.values() for key in keys}
    for aid, activity in graph.activities.items():
        if (
            isinstance(activity, Hook)
            and activity.hook
            and activity.hook.topic
            and aid not in ruled
        ):
            topic = activity.hook.topic
            hooks[topic] = (*hooks.get(topic, ()), HookKey(topic, aid, rule_of([])))
    return hooks


def rule_of(actual: Sequence[object]) -> str:
    """16 hex digits that name a way to compare: of sha256 over the raw values of `actual`."""
    text = json.dumps(list(actual), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _key(topic: str, rule: HookRule, at: Path) -> HookKey:
    matches = rule.conditions.match if rule.conditions else ()
    where = (*at, "conditions", "match")
    return HookKey(
        topic,
        rule.to,
        rule_of([m.actual for m in matches]),
        tuple(compile_value(m.expected, (*where, i, "expected")) for i, m in enumerate(matches)),
        tuple(compile_value(m.actual, (*where, i, "actual")) for i, m in enumerate(matches)),
    )
