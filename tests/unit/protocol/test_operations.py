# ruff: noqa: E501 - tables
"""Operations as data, and conditions: their forms, and what is said of wrong ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from durable.descriptor.operations import complaints, operate
from durable.engine.extension import extension
from durable.errors import ConfigurationError, PayloadError, StateError
from durable.hotmesh.conditions import conditions, parts
from durable.protocol.documents import Entity
from durable.protocol.searchable import Attributes

ALL: list[dict[str, Any]] = [
    {"op": "attributes.set", "values": {"a": 2, "b": "x", "c": 1}},
    {"op": "attributes.delete", "names": ["c"]},
    {"op": "attributes.incr", "name": "a"},
    {"op": "attributes.incr", "name": "a", "by": 0.5},
    {"op": "attributes.mult", "name": "a", "by": 2},
    {"op": "entity.set", "value": {"l": [2], "gone": 1}},
    {"op": "entity.merge", "value": {"m": {"x": 1}}},
    {"op": "entity.delete", "path": "gone"},
    {"op": "entity.append", "path": "l", "value": 3},
    {"op": "entity.prepend", "path": "l", "value": 1},
    {"op": "entity.append", "path": "l", "value": 3},
    {"op": "entity.remove", "path": "l", "value": 3},
    {"op": "entity.remove", "path": ["l"], "index": 0},
    {"op": "entity.increment", "path": "m.x"},
    {"op": "entity.toggle", "path": "t"},
    {"op": "entity.set_if_not_exists", "path": "t", "value": 7},
]


def test_all_operations() -> None:
    """Each is understood, and they are done in order."""
    attributes, entity = Attributes(), Entity()
    assert list(complaints(ALL)) == []
    for operation in ALL:
        operate(operation, attributes, entity)
    assert attributes.as_dict() == {"a": 7.0, "b": "x"}
    assert entity.get() == {"l": [2, 3], "m": {"x": 2}, "t": True}


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (5, "an object with an `op`"), ({}, "None is not an operation"), ({"op": []}, "is not an operation"),
        ({"op": "entity.get", "path": "a"}, "is not an operation"),
        ({"op": "entity.append"}, "needs 'path', 'value'"),
        ({"op": "entity.toggle", "path": "a", "by": 1, 3: 4}, "knows no '3', 'by'"),
        ({"op": "attributes.set", "values": 1}, "the values are an object"),
        ({"op": "attributes.set", "values": "x"}, "values cannot be"),
        ({"op": "attributes.delete", "names": 1}, "the names are a list"),
        ({"op": "attributes.delete", "names": "abc"}, "names cannot be"),
        ({"op": "attributes.incr", "name": 1}, "the name is text"),
        ({"op": "entity.remove", "path": "l", "index": 1.5}, "the index is a whole number"),
        ({"op": "entity.remove", "path": "l", "index": "0"}, "index cannot be"),
        ({"op": "entity.toggle", "path": 5}, "is no path"),
    ],
)  # fmt: skip
def test_a_wrong_operation_is_refused(operation: Any, words: str) -> None:
    """With a sentence, and nothing done."""
    attributes, entity = Attributes(), Entity({"l": [1]})
    with pytest.raises(StateError, match=words):
        operate(operation, attributes, entity)
    assert (attributes.as_dict(), entity.get()) == ({}, {"l": [1]})
    assert "operations are a list" in next(complaints(operation))[1] or isinstance(operation, list)


def test_parts_of_conditions() -> None:
    """What an index can be asked for: equal values joined, once for each of the first `in`."""
    given = [
        ("a.b", "=", 1),
        ("a.c", "=", "x"),
        ("d", "in", [1, 2]),
        ("e", ">", 5),
        ("l.0", "=", 1),
    ]
    assert [json.loads(p) for p in parts(conditions(given))] == [
        {"d": 1, "a": {"b": 1, "c": "x"}}, {"d": 2, "a": {"b": 1, "c": "x"}},
    ]  # fmt: skip
    assert parts(conditions([("e", ">", 5), ("l.0", "=", 1)])) == ()
    assert parts(conditions([("a", "=", 1), ("a.b", "=", 2)])) == ('{"a":1}',)
    assert parts(conditions({})) == ()


def test_the_extended_argument() -> None:
    """Its dict and its keywords are one; what is wrong is refused by name."""
    found = extension(
        {"entity": "order", "search": {"a": 1}}, {"pending": "1 minute", "marker": None}
    )
    assert (found.entity, found.search, found.pending) == ("order", {"a": 1}, 60.0)
    assert extension(None, {}).pending is None
    for wrong, words in (
        ({"entity": ""}, "entity is the name"), ({"entity": 5}, "entity is the name"),
        ({"search": [1]}, "search maps names"), ({"marker": {"a": "x"}}, "begin with '-'"),
        ({"nothing": 1}, "unknown fields"), ({"pending": "soon"}, "soon"),
    ):  # fmt: skip
        with pytest.raises((ConfigurationError, ValueError), match=words):
            extension(wrong, {})
    with pytest.raises(PayloadError):
        extension({"search": {"a": None}}, {})
