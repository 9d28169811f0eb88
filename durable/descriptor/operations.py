"""Operations on a job's attributes and entity as data: `{"op": "entity.append", "path": …}`.

Graphs list them in `state` of an activity, workers send them along with their answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from durable.errors import StateError
from durable.protocol.documents import Entity
from durable.protocol.searchable import Attributes

Words = Mapping[str, Any]

_ATTRIBUTES: Final[Mapping[str, Callable[[Attributes, Words], object]]] = MappingProxyType(
    {
        "set": lambda a, w: a.set(w["values"]),
        "delete": lambda a, w: a.delete(*w["names"]),
        "incr": lambda a, w: a.incr(w["name"], w.get("by", 1)),
        "mult": lambda a, w: a.mult(w["name"], w["by"]),
    }
)
_ENTITY: Final[Mapping[str, Callable[[Entity, Words], object]]] = MappingProxyType(
    {
        "set": lambda e, w: e.set(w["value"]),
        "merge": lambda e, w: e.merge(w["value"]),
        "delete": lambda e, w: e.delete(w["path"]),
        "append": lambda e, w: e.append(w["path"], w["value"]),
        "prepend": lambda e, w: e.prepend(w["path"], w["value"]),
        "remove": lambda e, w: e.remove(**w),
        "increment": lambda e, w: e.increment(w["path"], w.get("by", 1)),
        "toggle": lambda e, w: e.toggle(w["path"]),
        "set_if_not_exists": lambda e, w: e.set_if_not_exists(w["path"], w["value"]),
    }
)
_WORDS: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = MappingProxyType(
    {
        op: (frozenset(needed.split()), frozenset(also.split()))
        for op, needed, also in (
            ("attributes.set", "values", ""),
            ("attributes.delete", "names", ""),
            ("attributes.incr", "name", "by"),
            ("attributes.mult", "name by", ""),
            ("entity.set", "value", ""),
            ("entity.merge", "value", ""),
            ("entity.delete", "path", ""),
            ("entity.append", "path value", ""),
            ("entity.prepend", "path value", ""),
            ("entity.remove", "path", "index value"),
            ("entity.increment", "path", "by"),
            ("entity.toggle", "path", ""),
            ("entity.set_if_not_exists", "path value", ""),
        )
    }
)
"""What each operation needs, and what it may have beside."""


def complaint(operation: object) -> str | None:
    """What is wrong with the form of an operation; None for nothing.

    Example:
        >>> complaint({"op": "entity.append", "path": "lines"})
        "entity.append needs 'value'"
    """
    if not isinstance(operation, Mapping):
        return f"an operation is an object with an `op`, and this is {operation!r:.100}"
    op = operation.get("op")
    if not isinstance(op, str) or op not in _WORDS:
        return f"{op!r:.100} is not an operation; there are {', '.join(_WORDS)}"
    needed, also = _WORDS[op]
    given = operation.keys() - {"op"}
    if missing := sorted(needed - given):
        return f"{op} needs {', '.join(map(repr, missing))}"
    if unknown := sorted(map(str, given - needed - also)):
        return f"{op} knows no {', '.join(map(repr, unknown))}"
    return _mistyped(op, operation)


def _mistyped(op: str, operation: Words) -> str | None:
    name, names, index = (operation.get(word) for word in ("name", "names", "index"))
    if name is not None and not isinstance(name, str):
        return f"{op}: the name is text, and is {name!r:.100}"
    if op == "attributes.set" and not isinstance(operation["values"], Mapping | str):
        return f"{op}: the values are an object"
    if op == "attributes.delete" and not isinstance(names, list | tuple | str):
        return f"{op}: the names are a list"
    if index is not None and (isinstance(index, bool) or not isinstance(index, int | str)):
        return f"{op}: the index is a whole number"
    return None


def complaints(operations: object) -> Iterator[tuple[int, str]]:
    """What is wrong with each of a list of operations, by its place."""
    if not isinstance(operations, list | tuple):
        yield 0, f"operations are a list, and this is {operations!r:.100}"
        return
    for place, operation in enumerate(operations):
        if (wrong := complaint(operation)) is not None:
            yield place, wrong


def operate(operation: Words, attributes: Attributes, entity: Entity) -> None:
    """Do one operation.

    Raises `StateError` for one that is not well formed or does not fit what is there, and
    `PayloadError` for values that cannot be kept.

    Example:
        >>> entity = Entity({"lines": []})
        >>> operate({"op": "entity.append", "path": "lines", "value": 1}, Attributes(), entity)
        >>> entity.get()
        {'lines': [1]}
    """
    if (wrong := complaint(operation)) is not None:
        raise StateError(wrong)
    words = {word: value for word, value in operation.items() if word != "op"}
    for word, kinds in (("values", Mapping), ("names", list | tuple), ("index", int)):
        if word in words and not isinstance(words[word], kinds):
            raise StateError(f"{operation['op']}: {word} cannot be {words[word]!r:.100}")
    room, _, what = operation["op"].partition(".")
    if room == "attributes":
        _ATTRIBUTES[what](attributes, words)
    else:
        _ENTITY[what](entity, words)
