"""Durable functions: plain async code that survives crashes, restarts and month-long waits.

    cli | virtual | testing | …          doors
    hotmesh                              the engine's public face
    app                                  the composition root, and `connect()`
    client | worker | quorum             hosts: what runs in a process
    decorators | compiler | engine       functions to graph | graph to facts
    replay | streams | store             the deterministic loop | the queue | jobs and histories
    runtime                              what any host needs, once
    definitions | descriptor | postgres  what both sides share | the one room that knows the driver
    expressions | codec                  paths and pipes | values to JSON and back
    protocol                             messages, codes, commands, facts, retry policy, ids
    telemetry                            logs and spans
    errors                               the tree of everything that is raised

Imports go down only. Everything for users is re-exported here, and nowhere else. A name is imported
when it is first asked for: `import durable` alone loads no room, and a module of workflows loads
neither driver nor engine.
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
    from durable.app import connect
    from durable.client.client import Client
    from durable.client.handle import Handle, HistoryEvent
    from durable.codec.payloads import PayloadCodec
    from durable.decorators.activity import Activity, activity
    from durable.decorators.calls import Call
    from durable.decorators.graphs import graph
    from durable.decorators.heartbeats import heartbeat
    from durable.decorators.logs import logger
    from durable.decorators.signals import Signal
    from durable.decorators.state import attributes, entity, set_attributes
    from durable.decorators.verbs import info, now, random, sleep, uuid4, wait_until
    from durable.decorators.workflow import Workflow, workflow
    from durable.errors import (
        ActivityFailed,
        ActivityTimeout,
        ApplicationError,
        ChildFailed,
        ConfigurationError,
        DatabaseError,
        DefinitionError,
        DescriptorError,
        DuplicateJob,
        DurableError,
        EmbeddedPostgresError,
        EscalationConflict,
        EscalationError,
        EscalationNotFound,
        InternalError,
        JobError,
        JobFailed,
        JobNotFound,
        JobTimeout,
        NonDeterminismError,
        NotDurableError,
        OutcomeUnknown,
        PayloadError,
        ResultTimeout,
        SchemaMismatch,
        StateError,
        StepFailed,
        WorkflowAlreadyStarted,
        WorkflowCancelled,
        WorkflowEnded,
        WorkflowFailed,
        WorkflowNotFound,
        WorkflowTerminated,
    )
    from durable.hotmesh.mesh import HotMesh
    from durable.protocol.documents import Entity
    from durable.protocol.durations import Duration
    from durable.protocol.retention import Pruned, RetentionPolicy
    from durable.protocol.retry import RetryPolicy
    from durable.protocol.searchable import Attributes
    from durable.protocol.states import RunState
    from durable.replay.context import WorkflowInfo
    from durable.store.jobs import RunDescription, RunSummary
    from durable.virtual.context import VirtualContext
    from durable.virtual.virtual import Virtual
    from durable.worker.worker import Worker

__all__ = [
    "Activity",
    "ActivityFailed",
    "ActivityTimeout",
    "ApplicationError",
    "Attributes",
    "Call",
    "ChildFailed",
    "Client",
    "ConfigurationError",
    "DatabaseError",
    "DefinitionError",
    "DescriptorError",
    "DuplicateJob",
    "DurableError",
    "Duration",
    "EmbeddedPostgresError",
    "Entity",
    "EscalationConflict",
    "EscalationError",
    "EscalationNotFound",
    "Handle",
    "HistoryEvent",
    "HotMesh",
    "InternalError",
    "JobError",
    "JobFailed",
    "JobNotFound",
    "JobTimeout",
    "NonDeterminismError",
    "NotDurableError",
    "OutcomeUnknown",
    "PayloadCodec",
    "PayloadError",
    "Pruned",
    "ResultTimeout",
    "RetentionPolicy",
    "RetryPolicy",
    "RunDescription",
    "RunState",
    "RunSummary",
    "SchemaMismatch",
    "Signal",
    "StateError",
    "StepFailed",
    "Virtual",
    "VirtualContext",
    "Worker",
    "Workflow",
    "WorkflowAlreadyStarted",
    "WorkflowCancelled",
    "WorkflowEnded",
    "WorkflowFailed",
    "WorkflowInfo",
    "WorkflowNotFound",
    "WorkflowTerminated",
    "activity",
    "attributes",
    "connect",
    "entity",
    "graph",
    "heartbeat",
    "info",
    "logger",
    "now",
    "random",
    "set_attributes",
    "sleep",
    "uuid4",
    "wait_until",
    "workflow",
]

# Where each name lives; those of `__all__` that are not here are errors. What workflows name while
# they are replayed is loaded together, so that nothing is imported in the middle of a turn.
_ERRORS = "durable.errors"
_AUTHORING = {
    "durable.decorators.activity": "Activity activity",
    "durable.decorators.calls": "Call",
    "durable.decorators.graphs": "graph",
    "durable.decorators.heartbeats": "heartbeat",
    "durable.decorators.logs": "logger",
    "durable.decorators.signals": "Signal",
    "durable.decorators.state": "attributes entity set_attributes",
    "durable.decorators.verbs": "info now random sleep uuid4 wait_until",
    "durable.decorators.workflow": "Workflow workflow",
    "durable.protocol.documents": "Entity",
    "durable.protocol.durations": "Duration",
    "durable.protocol.retention": "Pruned RetentionPolicy",
    "durable.protocol.retry": "RetryPolicy",
    "durable.protocol.searchable": "Attributes",
    "durable.protocol.states": "RunState",
    "durable.replay.context": "WorkflowInfo",
}
_HOSTS = {
    "durable.app": "connect",
    "durable.client.client": "Client",
    "durable.client.handle": "Handle HistoryEvent",
    "durable.codec.payloads": "PayloadCodec",
    "durable.hotmesh.mesh": "HotMesh",
    "durable.store.jobs": "RunDescription RunSummary",
    "durable.virtual.context": "VirtualContext",
    "durable.virtual.virtual": "Virtual",
    "durable.worker.worker": "Worker",
}
_HOMES = dict.fromkeys(__all__, _ERRORS) | {
    name: home for home, names in (_AUTHORING | _HOSTS).items() for name in names.split()
}


def _load(name: str) -> object:
    """What `durable.name` is: the export of that name, else the room of that name (PEP 562)."""
    if name not in _HOMES:
        return _room(name)
    home = _HOMES[name]
    homes = {_ERRORS, *_AUTHORING} if home in _AUTHORING else {home}
    modules = {each: importlib.import_module(each) for each in homes}
    found = {n: getattr(modules[home], n) for n, home in _HOMES.items() if home in homes}
    globals().update(found)
    return found[name]


def _room(name: str) -> object:
    """The room `durable.name`; `AttributeError` if there is none."""
    path = f"{__name__}.{name}"
    if not name.startswith("_"):
        try:
            return importlib.import_module(path)
        except ModuleNotFoundError as error:
            if error.name != path:
                raise  # the room is there, and lacks what it imports
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)


if not typing.TYPE_CHECKING:  # a checker that saw it would let every misspelt name pass
    __getattr__ = _load
