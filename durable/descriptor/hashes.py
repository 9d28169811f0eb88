"""Hashes of what functions generate: the versions of their graphs, and of the app.

Both leave out what a release of durable adds on its own (activities whose ids begin with a dot), so
that another release, or its absence, is not another version. What a workflow may be signalled is
the user's, and counts.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

from durable.descriptor.commands import SIGNAL, Plain, is_generated_id
from durable.errors import DescriptorError

_DIGITS = 16
_WHOLE_FLOAT: Final = re.compile(r"\d(?:\.0|e\+)")
"""What a whole number looks like that was given as a float: 1.0, 1e+16."""


class Hashes:
    """The hashes of one app of functions, given as plain data.

    Attributes:
        graphs: what each graph subscribes to -> the hash of its content and of what is shared, 16
            hex digits.
        app: the hash of the whole, 16 hex digits.

    Example:
        >>> graph = {"subscribes": "f", "activities": {"f": {"type": "worker", "topic": "f"}}}
        >>> hashes = Hashes({"id": "a", "graphs": [graph]})
        >>> [len(text) for text in (hashes.app, *hashes.graphs.values())]
        [16, 16]
    """

    def __init__(self, app: Plain) -> None:
        shared = digest(app.get("shared") or {})
        self.graphs = {
            str(graph["subscribes"]): digest([_hashed(graph), shared]) for graph in app["graphs"]
        }
        rest = {key: app[key] for key in ("id", "settings") if key in app}
        self.app = digest([rest, shared, self.graphs])


def digest(value: object, digits: int = _DIGITS) -> str:
    """Hex digits that differ with the contents: of sha256 over canonical JSON.

    The order of keys does not count, that of lists does.

    Raises `DescriptorError` for what JSON cannot hold.

    Example:
        >>> digest({"a": 1, "b": 2.0}) == digest({"b": 2, "a": 1.0})
        True
    """
    try:
        text = _json(value)
        if _WHOLE_FLOAT.search(text):
            text = _json(json.loads(text, parse_float=_number))
    except ValueError as error:
        raise DescriptorError(f"the descriptor holds what JSON cannot: {error}") from error
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _hashed(graph: Plain) -> dict[str, object]:
    """What of a graph is hashed."""
    activities: Plain = graph["activities"]
    signals = activities.get(SIGNAL, {}).get("hook", {}).get("schema")
    return {
        **graph,
        "version": None,
        "activities": {a: part for a, part in activities.items() if not is_generated_id(a)},
        "transitions": {
            source: [t for t in transitions if not is_generated_id(t["to"])]
            for source, transitions in graph.get("transitions", {}).items()
            if not is_generated_id(source)
        },
        "signals": signals,
    }


def _number(text: str) -> float:
    """A number that is written as others that equal it: 1.0 as 1."""
    value = float(text)
    return int(value) if value.is_integer() else value
