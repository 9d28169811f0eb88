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

Imports go down only. Everything for users is re-exported here, and nowhere else.
"""

from __future__ import annotations

from durable.app import connect
from durable.client.client import Client
from durable.client.handle import Handle, HistoryEvent
from durable.codec.payloads import PayloadCodec
from durable.decorators.activity import Activity, activity
from durable.decorators.calls import Call
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
