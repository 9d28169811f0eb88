"""What `HotMesh.init` was given, checked and made of one kind."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from durable.errors import ConfigurationError
from durable.hotmesh.options import (
    UNUSED,
    configuration,
    connection_of,
    direct_of,
    guid_of,
    listed,
    named,
    set_log_level,
)
from durable.protocol.graphs import Data, Output
from durable.protocol.retention import RetentionPolicy, retention_policy
from durable.protocol.retry import RetryPolicy

Message = Output
Callback = Callable[[Message], Awaitable[Message | None]]

CONCURRENCY = 50  # callbacks of one topic at a time in one process, where none is given

_RETRY = {
    "maximumAttempts": "maximum_attempts",
    "backoffCoefficient": "backoff_coefficient",
    "maximumInterval": "maximum_interval",
    "initialInterval": "initial_interval",
    "nonRetryable": "non_retryable",
}

_ENGINE = frozenset({"connection", "retry", "retain", "readonly"}) | UNUSED - {"name"}
_WORKER = frozenset({"topic", "callback", "retry", "connection", "concurrency"}) | UNUSED - {"name"}


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """One worker: the topic that it serves, and how."""

    topic: str
    callback: Callback
    retry: RetryPolicy | None
    concurrency: int


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """One mesh. `connection`: a DSN, `Client` or pool; `engine`: whether this process moves jobs.

    `retain`: for how long expired jobs can still be looked at; None: as before. `guid`: that of
    this process; None for a fresh one. `direct`: the DSN of a way round a pooler.
    """

    app_id: str
    connection: object
    namespace: str | None
    engine: bool
    retry: RetryPolicy
    retain: RetentionPolicy | None
    workers: tuple[WorkerSettings, ...]
    guid: str | None = None
    direct: str | None = None


def mesh_settings(config: Data | None, more: Data) -> MeshSettings:
    """Check the options of `HotMesh.init`: one dict, and keywords.

    Raises `ConfigurationError` that says what is wrong, and what would be right.
    """
    given = configuration(config, more)
    app_id, engine = given.get("app_id"), given.get("engine")
    if not isinstance(app_id, str) or not app_id:
        raise ConfigurationError(
            "HotMesh.init needs app_id, the `app.id` of the document that is deployed"
        )
    found = named("engine", {} if engine is None else engine, _ENGINE)
    workers = [named("a worker", options, _WORKER) for options in listed(given.get("workers", ()))]
    readonly = found.get("readonly", False)
    if not isinstance(readonly, bool):
        raise ConfigurationError(f"engine: readonly={readonly!r} must be True or False")
    set_log_level(given.get("log_level"))
    return MeshSettings(
        app_id,
        _one_connection([found, *workers]),
        given.get("namespace"),
        engine is not None and not readonly,
        retry_policy(found.get("retry")) or RetryPolicy(),
        retention_policy(found["retain"], least=0) if "retain" in found else None,
        tuple(worker_settings(options) for options in workers),
        guid_of(given.get("guid")),
        direct_of(given.get("direct_dsn"), [o.get("connection") for o in (found, *workers)]),
    )


def _one_connection(options: Sequence[Data]) -> object:
    connections = [
        connection_of(o["connection"]) for o in options if o.get("connection") is not None
    ]
    if not connections:
        raise ConfigurationError(
            'HotMesh.init needs a connection: engine={"connection": "postgresql://…"},'
            " or a connected Client"
        )
    if any(other is not connections[0] and other != connections[0] for other in connections):
        raise ConfigurationError(
            "engine and workers of one HotMesh share one connection;"
            " call HotMesh.init once per database"
        )
    return connections[0]


def worker_settings(given: Data) -> WorkerSettings:
    """Check the options of one worker; raises `ConfigurationError`."""
    options = named("a worker", given, _WORKER)
    topic, callback = options.get("topic"), options.get("callback")
    if not isinstance(topic, str) or not topic:
        raise ConfigurationError(
            "a worker needs a topic: the one that activities of type worker name"
        )
    if not is_async(callback):
        raise ConfigurationError(
            f"the worker of topic {topic!r} needs a callback: an async function that takes the"
            f' message and returns {{"data": {{…}}}}, not {callback!r}'
        )
    concurrency = options.get("concurrency", CONCURRENCY)
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise ConfigurationError(
            f"the worker of topic {topic!r}: concurrency={concurrency!r} must be 1 or more"
        )
    return WorkerSettings(topic, callback, retry_policy(options.get("retry")), concurrency)


def is_async(callback: object) -> TypeGuard[Callback]:
    """Whether it is an async function, or an object that is called like one."""
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(
        type(callback).__call__
    )


def retry_policy(given: object) -> RetryPolicy | None:
    """A retry policy from what options may say: a `RetryPolicy`, or a dict with HotMesh's keys.

    Example:
        >>> retry_policy({"maximumAttempts": 5, "maximum_interval": "1 minute"}).maximum_attempts
        5
    """
    if given is None or isinstance(given, RetryPolicy):
        return given
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"retry={given!r}: give a RetryPolicy, or a dict such as {{'maximumAttempts': 5}}"
        )
    policy: Output = {_RETRY.get(str(key), str(key)): value for key, value in given.items()}
    if unknown := sorted(policy.keys() - set(_RETRY.values())):
        known = sorted(_RETRY.values())
        raise ConfigurationError(f"retry has unknown options {unknown}; known are {known}")
    if "non_retryable" in policy:
        policy["non_retryable"] = tuple(policy["non_retryable"])
    return RetryPolicy(**policy)
