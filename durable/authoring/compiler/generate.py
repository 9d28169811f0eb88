"""The descriptor of decorated functions: one app per task queue, one graph per workflow.

A graph is the workflow's `reentrant` activity and, below it, everything that the function can ask
for. A turn of the function answers with code 202 once per command, and `data.command` names the
activity that carries it out: one registered with the worker by its own name, which stands in what
the app shares, anything else by one of the generated ones, whose ids begin with a dot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from durable.authoring.compiler.names import SIGNAL_SUFFIX, by_name, check_apart, check_queue
from durable.authoring.compiler.policies import activity_fields
from durable.authoring.compiler.schemas import arguments_schema, schema_of, signals_schema
from durable.descriptor.commands import (
    ACTIVITY,
    CHILD,
    GRAPH,
    SIGNAL,
    START,
    TIMEOUTS,
    TIMER,
    Plain,
    carried,
    graph_activity,
    on_command,
)
from durable.descriptor.hashes import Hashes
from durable.errors import DefinitionError
from durable.replay.definitions import ActivityDefinition, WorkflowDefinition

Draft = dict[str, object]
"""A part of a descriptor as plain data, to be filled."""

_OVERRIDES: Final = ("topic", "taskQueue", "retry", *TIMEOUTS, "priority")
"""What the answer for an activity that its graph does not name says about it."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What `generate` makes.

    Attributes:
        data: the descriptor as plain data: `{"app": {…}}`.
        version: hash of the whole app, 16 hex digits.
        versions: workflow name -> hash of its graph and of what is shared, 16 hex digits.
    """

    data: Plain
    version: str
    versions: dict[str, str]

    def document(self) -> str:
        """The descriptor as YAML text for people, once it was found to hold together.

        Raises `DescriptorError` if it does not.
        """
        # Models and YAML take longer to load than all else here, and a worker whose version is
        # stored already needs neither.
        from durable.descriptor.document import load  # noqa: PLC0415
        from durable.descriptor.layout import to_yaml  # noqa: PLC0415

        load(self.data)
        return to_yaml(self.data)


def generate(
    queue: str,
    workflows: Sequence[WorkflowDefinition],
    activities: Sequence[ActivityDefinition],
) -> Generated:
    """The descriptor of what a worker serves on one task queue.

    The order in which definitions are given does not matter: graphs and activities are sorted by
    name, so that the same definitions give the same text and the same versions.

    Args:
        queue: the task queue; it becomes the app's id.
        workflows: each becomes a graph.
        activities: those registered beside them; each stands once, in what the app shares.

    Raises:
        DefinitionError: a name cannot be an id, or two definitions share it; there is neither a
            workflow nor an activity.

    Example:
        >>> from durable.authoring.activity import activity
        >>> @activity(priority=2)
        ... async def charge() -> None: ...
        >>> generate("orders", [], [charge.definition]).data["app"]["shared"]["activities"]
        {'charge': {'type': 'worker', 'topic': 'charge', 'priority': 2}}
    """
    flows = by_name(workflows, "workflow")
    steps = by_name(activities, "activity")
    check_apart(flows, steps)
    if not flows and not steps:
        raise DefinitionError(
            f"the task queue {queue!r} has neither workflows nor activities, of which a descriptor"
            " is made"
        )
    app: Draft = {"id": check_queue(queue), "version": ""}
    if steps:
        app["shared"] = _shared(steps)
    graphs = [_graph(flow) for flow in flows]
    app["graphs"] = graphs
    hashes = Hashes(app)
    app["version"] = hashes.app
    for graph in graphs:
        graph["version"] = hashes.graphs[str(graph["subscribes"])]
    return Generated({"app": app}, hashes.app, hashes.graphs)


def _shared(steps: Iterable[ActivityDefinition]) -> Draft:
    activities: Draft = {
        step.name: {"type": "worker", "topic": step.name, **activity_fields(step.options)}
        for step in steps
    }
    return {
        "activities": activities,
        "transitions": [on_command(name, name) for name in activities],
    }


def _graph(flow: WorkflowDefinition) -> Draft:
    name = flow.name
    function: Draft = {"type": "worker", "topic": name, "reentrant": True}
    if flow.options.priority:
        function["priority"] = flow.options.priority
    below = _carried_out(flow)
    return {
        "subscribes": name,
        "version": "",
        "input": {"schema": arguments_schema(flow.signature)},
        "output": {"schema": schema_of(flow.signature.output_schema)},
        "activities": {START: {"type": "trigger"}, name: function, **below},
        "transitions": {START: [{"to": name}], name: [on_command(a, a) for a in below]},
    }


def _carried_out(flow: WorkflowDefinition) -> Draft:
    """The activities that every workflow has, whatever is registered beside it."""
    name = flow.name
    signals = signals_schema(flow.signals())
    schema = {} if signals is None else {"schema": signals}
    return {
        ACTIVITY: {"type": "worker", **{key: carried(name, key) for key in _OVERRIDES}},
        CHILD: {
            "type": "await",
            **{key: carried(name, key) for key in ("topic", "taskQueue", "priority")},
        },
        TIMER: {"type": "hook", "sleep": carried(name, "seconds")},
        SIGNAL: {"type": "hook", "hook": {"topic": name + SIGNAL_SUFFIX, **schema}},
        GRAPH: graph_activity(name),
    }
