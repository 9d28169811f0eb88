"""What the language has and the engine does not execute yet: refused, never ignored.

A row is a place in the document: the kind of activity (* for any) or `graph`, then the keys below.
`=value` asks for that value, `[]` for a key with brackets at its end. To support something, make
the engine execute it and delete its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from durable.descriptor.findings import Finding
from durable.descriptor.model import Graph
from durable.descriptor.spreads import kind_of
from durable.expressions.expression import Path

NOT_YET: Final[tuple[str, ...]] = ()


def refused(graph: Graph, rows: tuple[str, ...] = NOT_YET) -> Iterator[Finding]:
    """A finding for each use of what a row names."""
    data: Mapping[str, object] = graph.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    activities = data.get("activities")
    for row in rows:
        owner, *keys = row.split(".")
        if owner == "graph":
            yield from (_finding(path, keys) for path in _found(data, keys))
        elif isinstance(activities, dict):
            for aid, part in activities.items():
                if owner in {"*", part["type"]}:
                    for path in _found(part, keys):
                        yield _finding(("activities", aid, *path), keys)


def _found(data: object, keys: list[str]) -> Iterator[Path]:
    """The places below the data that the keys name."""
    if not keys:
        yield ()
        return
    key, _, wanted = keys[0].partition("=")
    if not isinstance(data, dict):
        return
    names = [k for k in data if kind_of(k)] if key == "[]" else [key] if key in data else []
    for name in names:
        if not wanted or data[name] == wanted:
            for path in _found(data[name], keys[1:]):
                yield (name, *path)


def _finding(path: Path, keys: list[str]) -> Finding:
    name = str(path[-1])
    name = name if "=" not in keys[-1] else keys[-1].replace("=", ": ")
    return Finding(path, f"`{name}` is not supported yet by this version")
