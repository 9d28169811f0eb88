"""What a job of a graph may be started with beside its data: HotMesh's `extended` argument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from durable.errors import ConfigurationError
from durable.protocol.durations import seconds
from durable.protocol.graphs import Data, nothing
from durable.protocol.searchable import attribute


@dataclass(frozen=True, slots=True)
class Extension:
    """Beside its data.

    Args:
        entity: the kind of thing the job is about; the job then has a document.
        search: searchable attributes, by name.
        marker: markers, whose names begin with "-".
        pending: seconds that the job waits to be resumed, before it has begun; None: it begins.
    """

    entity: str | None = None
    search: Data = field(default_factory=nothing)
    marker: Data = field(default_factory=nothing)
    pending: float | None = None


def extension(extended: Mapping[str, object] | None, more: Mapping[str, Any]) -> Extension:
    """The `extended` argument of `pub`, its fields given as keywords joined in.

    Raises `ConfigurationError` for unknown fields and values of the wrong kind, `PayloadError` for
    attributes that cannot be searched for.

    Example:
        >>> extension({"entity": "order"}, {"search": {"customer": "ann"}}).entity
        'order'
    """
    given = {**(extended or {}), **{k: v for k, v in more.items() if v is not None}}
    known = {f.name for f in fields(Extension)}
    if unknown := sorted(given.keys() - known):
        raise ConfigurationError(
            f"extended has unknown fields {unknown}; known are {sorted(known)}"
        )
    entity = given.get("entity")
    if entity is not None and (not isinstance(entity, str) or not entity):
        raise ConfigurationError(f"extended.entity is the name of a kind, and is {entity!r}")
    search = _mapping(given, "search")
    marker = _mapping(given, "marker")
    if wrong := sorted(name for name in marker if not str(name).startswith("-")):
        raise ConfigurationError(f"the names of markers begin with '-', unlike {wrong}")
    pending = given.get("pending")
    if pending is not None and not seconds(pending):
        raise ConfigurationError("extended.pending is for how long the job waits: more than 0")
    return Extension(
        entity,
        {name: attribute(name, value) for name, value in search.items()},
        {name: attribute(name, value) for name, value in marker.items()},
        None if pending is None else seconds(pending),
    )


def _mapping(given: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = given.get(name) or {}
    if not isinstance(found, Mapping):
        raise ConfigurationError(f"extended.{name} maps names to values, and is {found!r:.100}")
    return found
