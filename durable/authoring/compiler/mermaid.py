"""An app as a Mermaid flowchart: what `durable graph` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from durable.descriptor.model import (
    Activity,
    App,
    Await,
    Conditions,
    Cycle,
    Graph,
    Hook,
    Interrupt,
    Signal,
    Transition,
    Trigger,
    Worker,
)
from durable.descriptor.parts import Retry
from durable.descriptor.shared import with_shared
from durable.protocol.codes import OK, PENDING
from durable.telemetry.terminal import shown

_SHAPES: Final[Mapping[type, tuple[str, str]]] = {
    Trigger: ("([", "])"),
    Worker: ("[", "]"),
    Await: ("[[", "]]"),
    Hook: ("{{", "}}"),
    Signal: (">", "]"),
    Interrupt: ("(((", ")))"),
    Cycle: ("((", "))"),
}
"""Opening and closing of a node, by kind."""


_SHARED: Final = "shared"
"""The box of what all graphs of functions have."""


def mermaid(app: App) -> str:
    """The app as Mermaid text: one box per graph, one node per activity.

    An edge is labelled by what it is followed on; it has none where it is always followed.
    What a function asks for leads back to it, which is drawn dotted, once. What the app shares
    between its graphs is drawn once too, in a box to which each function leads.
    """
    lines = [f"%% app {shown(app.id)}, version {app.version}", "flowchart LR"]
    if app.shared is not None:
        lines.extend(_box(_SHARED, _SHARED, app.shared.activities))
        lines.append("  end")
    for number, graph in enumerate(app.graphs):
        lines.extend(_graph(app, graph, f"g{number}"))
    return "\n".join(lines) + "\n"


def _box(name: str, title: str, activities: Mapping[str, Activity]) -> Iterator[str]:
    yield f'  subgraph {name}["{title}"]'
    nodes = _nodes(name, activities)
    for aid, activity in activities.items():
        opening, closing = _SHAPES[type(activity)]
        label = "<br/>".join(_label(aid, activity))
        yield f'    {nodes[aid]}{opening}"{label}"{closing}'


def _nodes(name: str, activities: Mapping[str, Activity]) -> dict[str, str]:
    return {aid: f"{name}_{place}" for place, aid in enumerate(activities)}


def _graph(app: App, graph: Graph, name: str) -> Iterator[str]:
    version = f", version {_text(graph.version)}" if graph.version else ""
    yield from _box(name, f"{_text(graph.subscribes)}{version}", graph.activities)
    nodes, shares = _nodes(name, graph.activities), False
    for source, transitions in with_shared(app, graph).transitions.items():
        for transition in transitions:
            if transition.to in nodes:
                yield f"    {_edge(nodes, source, transition, returns=source == graph.function)}"
            else:
                shares = True
    for aid, activity in graph.activities.items():
        if isinstance(activity, Cycle):
            yield f"    {nodes[aid]} -.->|again| {nodes[activity.ancestor]}"
    yield "  end"
    if shares and graph.function is not None:
        yield f"  {nodes[graph.function]} <-.-> {_SHARED}"


def _edge(nodes: Mapping[str, str], source: str, transition: Transition, *, returns: bool) -> str:
    target = transition.to
    label = _condition(transition.conditions, target)
    arrow = "<-.->" if returns else "-->"
    middle = f'{arrow}|"{label}"|' if label else arrow
    return f"{nodes[source]} {middle} {nodes[target]}"


def _condition(conditions: Conditions | None, target: str) -> str:
    """What must hold; empty where nothing must, or for the command named as the target."""
    if conditions is None:
        return ""
    matches = conditions.match
    if conditions.code == (PENDING,) and [m.expected for m in matches] == [target]:
        return ""
    is_usual = conditions.code == (OK,) and matches
    words = [] if is_usual else [f"code {', '.join(map(str, conditions.code))}"]
    joint = " and " if conditions.gate == "and" else " or "
    if matches:
        words.append(joint.join(f"{_text(m.actual)} = {_text(m.expected)}" for m in matches))
    return "<br/>".join(words)


def _label(aid: str, activity: Activity) -> Iterator[str]:
    yield _text(activity.title or aid)
    if isinstance(activity, (Worker, Await, Signal)) and activity.topic not in (aid, None):
        kind = {Worker: "runs", Await: "child", Signal: "signals"}[type(activity)]
        yield f"{kind} {_text(activity.topic)}"
    queue = getattr(activity, "task_queue", None)
    if isinstance(queue, str) and not queue.startswith("{"):
        yield f"on {_text(queue)}"
    if isinstance(activity, Worker) and isinstance(activity.retry, Retry):
        most = activity.retry.policy().maximum_attempts
        yield "tried for ever" if most is None else f"up to {most} attempts"
    if isinstance(activity, Hook):
        if activity.sleep is not None:
            yield f"sleeps {_text(activity.sleep)}"
        if activity.hook is not None and activity.hook.topic:
            yield f"waits for {_text(activity.hook.topic)}"
    if isinstance(activity, Interrupt):
        yield "interrupts" if activity.target is None else f"interrupts {_text(activity.target)}"


def _text(value: object) -> str:
    """Text that Mermaid takes as text, whatever is in it."""
    escapes = {"&": "#amp;", "<": "#lt;", ">": "#gt;", '"': "#quot;", "#": "#35;"}
    return "".join(escapes.get(c, c) for c in shown(str(value).replace("\n", " ")))
