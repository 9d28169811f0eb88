"""The shapes in which HotMesh's documentation gives options, made of one kind.

Names may be written in camelCase or snake_case; a connection may be `{class, options}`; the whole
configuration may be one dict. What has no meaning here (how long a message may stay with a worker
that is gone: members are missed within seconds) is taken, checked and not used.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from durable.errors import ConfigurationError
from durable.protocol.graphs import Data, Output
from durable.telemetry.logs import logger

Options = Data

_SAME: Final[Options] = MappingProxyType(
    {
        "appId": "app_id",
        "logLevel": "log_level",
        "directDsn": "direct_dsn",
        "taskQueue": "task_queue",
        "retryPolicy": "retry",
        "retry_policy": "retry",
        "reclaimDelay": "reclaim_delay",
        "reclaimCount": "reclaim_count",
    }
)
UNUSED: Final = frozenset({"reclaim_delay", "reclaim_count", "task_queue", "name"})
"""What is taken and has no effect."""

CONFIG: Final = frozenset(
    {
        "app_id", "engine", "workers", "namespace", "guid", "log_level", "task_queue", "name",
        "direct_dsn",
    }
)  # fmt: skip

_LEVELS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "error": logging.ERROR,
        "warn": logging.WARNING,
        "warning": logging.WARNING,
        "info": logging.INFO,
        "debug": logging.DEBUG,
        "silly": logging.DEBUG,
        "silent": logging.CRITICAL + 10,
    }
)

_DIRECT: Final = ("directDsn", "direct_dsn")

_PARTS: Final[Options] = MappingProxyType(
    {
        "host": "host",
        "port": "port",
        "user": "user",
        "username": "user",
        "password": "password",
        "database": "dbname",
        "dbname": "dbname",
    }
)


def configuration(config: Options | None, more: Options) -> Output:
    """The options of `HotMesh.init`: those of one dict, and keywords, which come before them.

    Raises `ConfigurationError` for an option that is not known.
    """
    if config is not None and not isinstance(config, Mapping):
        raise ConfigurationError(
            f"HotMesh.init takes its options as keywords or as one dict, and got a"
            f" {type(config).__name__}"
        )
    given = {key: value for key, value in more.items() if value is not None}
    return {**named("HotMesh.init", config or {}, CONFIG), **named("HotMesh.init", given, CONFIG)}


def named(where: str, options: Options, known: frozenset[str]) -> Output:
    """Options by their names in snake_case.

    Raises `ConfigurationError` for one that is not known, and for one that is given twice.
    """
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"{where} takes a dict of options, and got {options!r:.100}")
    found: Output = {}
    for key, value in options.items():
        name = _SAME.get(key, key)
        if name not in known:
            raise ConfigurationError(
                f"{where} has unknown options [{key!r}]; known are {sorted(known)}"
            )
        if name in found:
            raise ConfigurationError(f"{where} has {name!r} twice, under two spellings")
        found[name] = value
    _check_unused(where, found)
    return found


def _check_unused(where: str, options: Options) -> None:
    for name in ("reclaim_delay", "reclaim_count"):
        value = options.get(name)
        if value is None:
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or value < 0:
            raise ConfigurationError(f"{where}: {name}={value!r} must be a number from 0 on")


def connection_of(given: object) -> object:
    """A connection as durable takes it: of `{class, options}` the DSN that the options make.

    Raises `ConfigurationError` for options that name no database; what they say is not in it.
    """
    if not isinstance(given, Mapping):
        return given
    if unknown := sorted(given.keys() - {"class", "options"}):
        raise ConfigurationError(
            f"connection has unknown keys {unknown}; it is a DSN, a Client, a pool, or"
            ' {"class": …, "options": {"connectionString": "postgresql://…"}}'
        )
    options = given.get("options")
    if not isinstance(options, Mapping):
        raise ConfigurationError('connection needs "options": {"connectionString": …}')
    options = {key: value for key, value in options.items() if key not in _DIRECT}
    for key in ("connectionString", "connection_string", "dsn"):
        if key in options:
            return _alone(key, options)
    return _from_parts(options)


def direct_of(given: object, connections: Sequence[object]) -> str | None:
    """The way round a pooler: as an option of its own, or of a connection `{class, options}`.

    Raises `ConfigurationError` for one that is no DSN, and for two that differ.
    """
    found = [given] if given is not None else []
    for connection in connections:
        options = connection.get("options") if isinstance(connection, Mapping) else None
        if isinstance(options, Mapping):
            found += [options[key] for key in _DIRECT if options.get(key) is not None]
    texts = [one for one in found if isinstance(one, str) and one]
    if len(texts) < len(found):
        raise ConfigurationError("direct_dsn must be text: the DSN of a way round the pooler")
    if len(set(texts)) > 1:
        raise ConfigurationError("direct_dsn is given several times, and differs")
    return texts[0] if texts else None


def _alone(key: str, options: Options) -> str:
    text = options[key]
    if not isinstance(text, str) or not text:
        raise ConfigurationError(f"connection.options.{key} must be text: a DSN")
    _refuse_unknown(options, {key})
    return text


def _from_parts(options: Options) -> str:
    _refuse_unknown(options, set(_PARTS))
    if not options:
        raise ConfigurationError("connection.options name no database: give connectionString")
    return " ".join(f"{_PARTS[key]}={_quoted(str(value))}" for key, value in options.items())


def _refuse_unknown(options: Options, known: set[str]) -> None:
    if unknown := sorted(options.keys() - known):
        raise ConfigurationError(
            f"connection.options has unknown keys {unknown}: what a driver is to know stands in"
            " connectionString, as in postgresql://user@host/database?sslmode=require"
        )


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def guid_of(given: object) -> str | None:
    """The guid that a caller has chosen for a process; raises `ConfigurationError`."""
    if given is not None and (not isinstance(given, str) or not given):
        raise ConfigurationError(f"guid={given!r} must be text that no other process has")
    return given


def set_log_level(given: object) -> None:
    """Have the logger `durable` of this process log at the level that was asked for."""
    if given is None:
        return
    level = _LEVELS.get(given.lower()) if isinstance(given, str) else None
    if level is None:
        raise ConfigurationError(f"log_level={given!r}: it is one of {', '.join(_LEVELS)}")
    logger.setLevel(level)


def listed(given: object) -> Sequence[Options]:
    """The options of workers; raises `ConfigurationError` for what is no list."""
    if isinstance(given, Mapping | str) or not isinstance(given, Sequence):
        raise ConfigurationError("workers is a list of dicts, one for each topic")
    return given
