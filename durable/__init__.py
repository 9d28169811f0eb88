"""Durable functions: plain async code that survives crashes, restarts and month-long waits.

    cli | testing | …      doors
    hotmesh                the engine's public face
    composition            the composition root, and `connect()`
    client                 starts, finds and awaits runs
    worker                 takes turns of runs and runs activities
    authoring | engine     functions to graph | graph to facts
    replay | store         the deterministic loop | jobs, histories and streams as rows
    runtime                what any host needs, once
    descriptor | postgres  the language of graphs | the only package that knows the driver
    codec                  values to JSON and back
    protocol               messages, codes, commands, facts, retry policy, ids
    telemetry              logs and spans
    errors                 the tree of everything that is raised

Imports go down only. Everything for users is re-exported here, and nowhere else. A name is imported
when it is first asked for: `import durable` alone loads no package, and a module of workflows loads
neither driver nor engine.
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
    from durable.authoring.activity import Activity, activity
    from durable.authoring.calls import Call
    from durable.authoring.graphs import graph
    from durable.authoring.heartbeats import heartbeat
    from durable.authoring.logs import logger
    from durable.authoring.signals import Signal
    from durable.authoring.state import attributes, entity, set_attributes
    from durable.authoring.verbs import info, now, random, sleep, uuid4, wait_until
    from durable.authoring.workflow import Workflow, workflow
    from durable.client.client import Client
    from durable.client.handle import Handle, HistoryEvent
    from durable.codec.payloads import PayloadCodec
    from durable.composition import connect
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
    from durable.hotmesh.virtual.context import VirtualContext
    from durable.hotmesh.virtual.virtual import Virtual
    from durable.protocol.documents import Entity
    from durable.protocol.durations import Duration
    from durable.protocol.retention import Pruned, RetentionPolicy
    from durable.protocol.retry import RetryPolicy
    from durable.protocol.searchable import Attributes
    from durable.protocol.states import RunState
    from durable.replay.context import WorkflowInfo
    from durable.store.jobs import RunDescription, RunSummary
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
    "durable.authoring.activity": "Activity activity",
    "durable.authoring.calls": "Call",
    "durable.authoring.graphs": "graph",
    "durable.authoring.heartbeats": "heartbeat",
    "durable.authoring.logs": "logger",
    "durable.authoring.signals": "Signal",
    "durable.authoring.state": "attributes entity set_attributes",
    "durable.authoring.verbs": "info now random sleep uuid4 wait_until",
    "durable.authoring.workflow": "Workflow workflow",
    "durable.protocol.documents": "Entity",
    "durable.protocol.durations": "Duration",
    "durable.protocol.retention": "Pruned RetentionPolicy",
    "durable.protocol.retry": "RetryPolicy",
    "durable.protocol.searchable": "Attributes",
    "durable.protocol.states": "RunState",
    "durable.replay.context": "WorkflowInfo",
}
_HOSTS = {
    "durable.composition": "connect",
    "durable.client.client": "Client",
    "durable.client.handle": "Handle HistoryEvent",
    "durable.codec.payloads": "PayloadCodec",
    "durable.hotmesh.mesh": "HotMesh",
    "durable.store.jobs": "RunDescription RunSummary",
    "durable.hotmesh.virtual.context": "VirtualContext",
    "durable.hotmesh.virtual.virtual": "Virtual",
    "durable.worker.worker": "Worker",
}
_HOMES = dict.fromkeys(__all__, _ERRORS) | {
    name: home for home, names in (_AUTHORING | _HOSTS).items() for name in names.split()
}


def _load(name: str) -> object:
    """What `durable.name` is: the export of that name, else the package of that name (PEP 562)."""
    if name not in _HOMES:
        return _room(name)
    home = _HOMES[name]
    homes = {_ERRORS, *_AUTHORING} if home in _AUTHORING else {home}
    modules = {each: importlib.import_module(each) for each in homes}
    found = {n: getattr(modules[home], n) for n, home in _HOMES.items() if home in homes}
    globals().update(found)
    return found[name]


def _room(name: str) -> object:
    """The package `durable.name`; `AttributeError` if there is none."""
    path = f"{__name__}.{name}"
    if not name.startswith("_"):
        try:
            return importlib.import_module(path)
        except ModuleNotFoundError as error:
            if error.name != path:
                raise  # the package is there, and lacks what it imports
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)


if not typing.TYPE_CHECKING:  # a checker that saw it would let every misspelt name pass
    __getattr__ = _load
