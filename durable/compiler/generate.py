"""The descriptor of decorated functions: one app per task queue, one graph per workflow.

A graph is the workflow's `reentrant` activity and, below it, everything that the function can ask
for. A turn of the function answers with code 202 once per command, and `data.command` names the
activity that carries it out: one registered with the worker by its own name, anything else by one
of the generated ones, whose ids begin with a dot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from durable.compiler.names import SIGNAL_SUFFIX, by_name, check_apart, check_queue
from durable.compiler.policies import activity_settings, retry_of, workflow_settings
from durable.compiler.schemas import arguments_schema, schema_of, signals_schema
from durable.definitions import ActivityDefinition, WorkflowDefinition
from durable.descriptor.document import content_hash, dump
from durable.descriptor.model import (
    Activity,
    App,
    Await,
    Conditions,
    Graph,
    Hook,
    Match,
    Transition,
    Trigger,
    Worker,
)
from durable.descriptor.parts import HookPort, Port
from durable.descriptor.validate import validate
from durable.errors import DefinitionError
from durable.protocol.codes import PENDING

START: Final = ".start"
ACTIVITY: Final = ".activity"
CHILD: Final = ".child"
TIMER: Final = ".timer"
SIGNAL: Final = ".signal"

_COMMAND: Final = "{$self.output.data.command}"


@dataclass(frozen=True, slots=True)
class Generated:
    """What `generate` makes.

    Attributes:
        app: the descriptor.
        document: the same as YAML text; `durable.descriptor.document.load` gives the app back.
        version: hash of the whole app, 8 hex digits.
        versions: workflow name -> hash of its graph, 8 hex digits.
    """

    app: App
    document: str
    version: str
    versions: dict[str, str]


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
        workflows: at least one; each becomes a graph.
        activities: those registered beside them; each stands in every graph.

    Raises:
        DefinitionError: a name cannot be an id, or two definitions share it; there is no workflow.
    """
    flows = by_name(workflows, "workflow")
    steps = by_name(activities, "activity")
    check_apart(flows, steps)
    if not flows:
        raise DefinitionError(
            f"the task queue {queue!r} has no workflow, so there is no graph to generate"
        )
    graphs = tuple(_versioned(_graph(flow, steps)) for flow in flows)
    app = App(id=check_queue(queue), version="0", graphs=graphs)
    version = content_hash(app)
    app = app.model_copy(update={"version": version})
    validate(app)
    versions = {graph.subscribes: str(graph.version) for graph in graphs}
    return Generated(app, dump(app), version, versions)


def _versioned(graph: Graph) -> Graph:
    return graph.model_copy(update={"version": content_hash(graph)})


def _graph(flow: WorkflowDefinition, steps: Sequence[ActivityDefinition]) -> Graph:
    name = flow.name
    below: dict[str, Activity] = {step.name: _worker(step) for step in steps}
    below |= {
        ACTIVITY: Worker(type="worker", topic=_data(name, "topic")),
        CHILD: Await(type="await", topic=_data(name, "topic")),
        TIMER: Hook(type="hook", sleep=_data(name, "seconds")),
        SIGNAL: Hook(
            type="hook",
            hook=HookPort(topic=name + SIGNAL_SUFFIX, schema=signals_schema(flow.signals())),
        ),
    }
    function = Worker(
        type="worker", topic=name, reentrant=True, settings=workflow_settings(flow.options)
    )
    return Graph(
        subscribes=name,
        input=Port(schema=arguments_schema(flow.signature)),
        output=Port(schema=schema_of(flow.signature.output_schema)),
        activities={START: Trigger(type="trigger"), name: function, **below},
        transitions={START: (Transition(to=name),), name: tuple(map(_on_command, below))},
    )


def _worker(step: ActivityDefinition) -> Worker:
    return Worker(
        type="worker",
        topic=step.name,
        retry=retry_of(step.options.retry),
        settings=activity_settings(step.options),
    )


def _data(name: str, key: str) -> str:
    """A reference to what the workflow's answer carries."""
    return f"{{{name}.output.data.{key}}}"


def _on_command(target: str) -> Transition:
    match = Match(expected=target, actual=_COMMAND)
    return Transition(to=target, conditions=Conditions(code=(PENDING,), match=(match,)))
