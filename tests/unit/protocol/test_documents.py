# ruff: noqa: E501 - tables
"""The entity document: each operation, what it gives, and what it refuses."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

import pytest

from durable.errors import DurableError, PayloadError, StateError
from durable.protocol.documents import PATH_MAX, SIZE_MAX, Entity, steps_of

START: dict[str, Any] = {
    "name": "Łódź 🚚",
    "n": 1,
    "half": 0.5,
    "yes": True,
    "none": None,
    "list": ["a", "b", "a", 1, True],
    "rows": [{"k": 1}, {"k": 2}],
    "deep": {"er": {"est": "x"}, "other": 1},
    "a.b": {"c": 1},
}

Operation = Callable[[Any], Any]

# What is done, what it gives, and what differs from START then ("" for nothing, by top-level key).
DONE: list[tuple[Operation, Any, dict[str, Any]]] = [
    (lambda e: e.get("name"), "Łódź 🚚", {}),
    (lambda e: e.get("deep.er.est"), "x", {}),
    (lambda e: e.get("rows.1.k"), 2, {}),
    (lambda e: e.get(("rows", -1, "k")), 2, {}),
    (lambda e: e.get(("a.b", "c")), 1, {}),
    (lambda e: e.get("lacks"), None, {}),
    (lambda e: e.get("lacks.too", 7), 7, {}),
    (lambda e: e.get("none", 7), None, {}),
    (lambda e: e.get("rows.9.k", 7), 7, {}),
    (lambda e: e.get("name.0", 7), 7, {}),
    (lambda e: e.delete("deep.er")["deep"], {"other": 1}, {"deep": {"other": 1}}),
    (lambda e: e.delete("rows.0")["rows"], [{"k": 2}], {"rows": [{"k": 2}]}),
    (lambda e: "lacks" in e.delete("lacks"), False, {}),
    (lambda e: "lacks" in e.delete("n.lacks"), False, {}),
    (lambda e: e.append("list", {"x": (1,)}), [*START["list"], {"x": [1]}], {"list": [*START["list"], {"x": [1]}]}),
    (lambda e: e.append("new.er", 1), [1], {"new": {"er": [1]}}),
    (lambda e: e.prepend("rows.0.tags", "t"), ["t"], {"rows": [{"k": 1, "tags": ["t"]}, {"k": 2}]}),
    (lambda e: e.prepend("list", "z"), ["z", *START["list"]], {"list": ["z", *START["list"]]}),
    (lambda e: e.remove("list", 1), ["a", "a", 1, True], {"list": ["a", "a", 1, True]}),
    (lambda e: e.remove("list", -1), ["a", "b", "a", 1], {"list": ["a", "b", "a", 1]}),
    (lambda e: e.remove("list", value="a"), ["b", "a", 1, True], {"list": ["b", "a", 1, True]}),
    (lambda e: e.remove("list", value=True), ["a", "b", "a", 1], {"list": ["a", "b", "a", 1]}),
    (lambda e: e.remove("list", value="lacks"), START["list"], {}),
    (lambda e: e.remove("rows", value={"k": 2}), [{"k": 1}], {"rows": [{"k": 1}]}),
    (lambda e: e.increment("n"), 2, {"n": 2}),
    (lambda e: e.increment("n", -3), -2, {"n": -2}),
    (lambda e: e.increment("half", 0.1), 0.6, {"half": 0.6}),
    (lambda e: e.increment("sum", 0.1) + e.increment("sum", 0.2), 0.4, {"sum": 0.3}),
    (lambda e: e.increment("deep.new", 5), 5, {"deep": {**START["deep"], "new": 5}}),
    (lambda e: e.increment("rows.0.k", 2), 3, {"rows": [{"k": 3}, {"k": 2}]}),
    (lambda e: e.toggle("yes"), False, {"yes": False}),
    (lambda e: [e.toggle("lacks"), e.toggle("lacks")], [True, False], {"lacks": False}),
    (lambda e: e.set_if_not_exists("name", 1), "Łódź 🚚", {}),
    (lambda e: e.set_if_not_exists("none", 1), None, {}),
    (lambda e: e.set_if_not_exists("list.0", 1), "a", {}),
    (lambda e: e.set_if_not_exists("ünï.çode", "🦊"), "🦊", {"ünï": {"çode": "🦊"}}),
    (lambda e: e.merge({"deep": {"er": {"more": 1}}, "n": None})["n"], None,
     {"n": None, "deep": {"er": {"est": "x", "more": 1}, "other": 1}}),
    (lambda e: e.merge({"list": [1], "deep": 5})["list"], [1], {"list": [1], "deep": 5}),
    (lambda e: e.merge({}) == START, True, {}),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(DONE)))
def test_what_an_operation_gives_and_leaves(case: int) -> None:
    """Its result, and the whole document afterwards; `changed` says whether there is a difference."""
    operation, given, differs = DONE[case]
    entity = Entity(START)
    assert operation(entity) == given
    assert entity.get() == {**START, **differs}
    if differs:
        assert entity.changed


def test_set_replaces_the_whole() -> None:
    """Nothing of what was there is left; an empty document is one too."""
    entity = Entity(START)
    assert entity.set({"x": 1}) == entity.get() == {"x": 1}
    assert entity.set({}) == {}


REFUSED: list[tuple[Operation, type[DurableError], str]] = [
    (lambda e: e.increment("name"), StateError, "the entity at 'name' is not a number: 'Łódź"),
    (lambda e: e.increment("yes"), StateError, "not a number: True"),
    (lambda e: e.increment("none"), StateError, "not a number: None"),
    (lambda e: e.increment("n", "1"), StateError, "added to the entity at 'n' is not a number"),
    (lambda e: e.increment("n", math.inf), StateError, "finite"),
    (lambda e: e.increment("half", 1.7e308) + e.increment("half", 1.7e308), StateError, "too large"),
    (lambda e: e.increment("deep.er.est.n"), StateError, 'has "x" at \'deep.er.est\', where an object is needed'),
    (lambda e: e.append("n", 1), StateError, "has 1 at 'n', where a list is needed"),
    (lambda e: e.append("none", 1), StateError, "has null at 'none'"),
    (lambda e: e.prepend("rows.2.k", 1), StateError, "a list of 2 items at 'rows', and none at '2'"),
    (lambda e: e.append("rows.x", 1), StateError, "none at 'x'"),
    (lambda e: e.remove("list", 5), StateError, "has 5 items at 'list', and none at index 5"),
    (lambda e: e.remove("lacks", 0), StateError, "has nothing at 'lacks', where a list is needed"),
    (lambda e: e.remove("n", value=1), StateError, "where a list is needed"),
    (lambda e: e.remove("list"), StateError, "either an index or value"),
    (lambda e: e.remove("list", 0, value=1), StateError, "either an index or value"),
    (lambda e: e.toggle("n"), StateError, "has 1 at 'n', where a boolean is needed"),
    (lambda e: e.toggle("none"), StateError, "where a boolean is needed"),
    (lambda e: e.set([1]), StateError, "give a dict"),
    (lambda e: e.merge("x"), StateError, "give a dict"),
    (lambda e: e.get(""), StateError, "is no path"),
    (lambda e: e.get("a..b"), StateError, "is no path"),
    (lambda e: e.get(()), StateError, "is no path"),
    (lambda e: e.get(5), StateError, "is no path"),
    (lambda e: e.get(("a", True)), StateError, "is no path"),
    (lambda e: e.toggle(["k"] * (PATH_MAX + 1)), StateError, f"{PATH_MAX} at most"),
    (lambda e: e.set({"a": {"b": math.nan}}), PayloadError, r"the value\.a\.b is nan"),
    (lambda e: e.append("list", {1}), PayloadError, "is of type set, which JSON does not know"),
    (lambda e: e.append("list", [{1: 2}]), PayloadError, r"the value\[0\] has the key 1"),
    (lambda e: e.set({"a": "\x00"}), PayloadError, "cannot keep"),
    (lambda e: e.set({"\ud800": 1}), PayloadError, "cannot keep"),
    (lambda e: e.set({"a": 10**2000}), PayloadError, "1,000 digits"),
    (lambda e: e.merge({"big": "é" * (SIZE_MAX // 2)}), StateError, "bytes of JSON"),
    (lambda e: e.set({"big": "x" * SIZE_MAX}), StateError, "bytes of JSON"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_does_not_fit_is_refused(case: int) -> None:
    """The error says what is there and what is needed; the document is as it was before."""
    operation, error, words = REFUSED[case]
    entity = Entity(START)
    before = entity.get()
    with pytest.raises(error, match=words):
        operation(entity)
    if "too large" not in words:
        assert entity.get() == before


def test_nothing_is_shared_with_the_document() -> None:
    """What was put in or taken out can be changed without changing the document."""
    given: dict[str, Any] = {"a": {"b": [1]}}
    entity = Entity(given)
    taken = [entity.get(), entity.set(given), entity.merge({}), {"a": entity.get("a")}]
    taken.append({"a": {"b": entity.append("a.b", 2)}})
    for one in (given, *taken):
        one["a"]["b"] = "spoiled"
    inner: list[int] = [3]
    entity.set_if_not_exists("c", inner).append(5)
    inner.append(4)
    assert entity.get() == {"a": {"b": [1, 2]}, "c": [3]}


def test_a_document_can_be_filled_and_emptied_for_ever() -> None:
    """The bound on its size is one on what is there, not on what has been written."""
    entity = Entity()
    for n in range(60):
        entity.merge({"big": "x" * (SIZE_MAX // 4), "n": n})
        entity.append("list", "y" * 1000)
        if n % 10 == 9:
            entity.delete("list")
    assert len(json.dumps(entity.get())) <= SIZE_MAX
    with pytest.raises(StateError, match="bytes of JSON"):
        entity.append("list", "y" * SIZE_MAX)
    assert entity.get("n") == 59


def test_paths() -> None:
    """Dotted text and sequences name the same."""
    assert steps_of("a.b.0") == ("a", "b", "0")
    assert steps_of(["a", "b", 0]) == ("a", "b", 0)


def test_any_sequence_of_operations_keeps_to_json() -> None:
    """Whatever is done, the document survives a round trip, and its noted size is never too small."""
    rng = Random(11)
    entity = Entity()
    paths = ["a", "a.b", "a.b.c", "l", "l.0", "n", ("x.y", "z")]
    for _ in range(3000):
        path = rng.choice(paths)
        operation = rng.choice([
            lambda p: entity.increment(p, rng.choice([1, -2, 0.1])), entity.toggle, entity.delete,
            lambda p: entity.append(p, rng.choice([1, "é", None, {"k": [1]}])),
            lambda p: entity.prepend(p, "p"), lambda p: entity.remove(p, 0),
            lambda p: entity.set_if_not_exists(p, {}), lambda p: entity.merge({"a": {"b": {}}, "last": p}),
        ])  # fmt: skip
        before = deepcopy(entity.get())
        try:
            operation(path)
        except StateError:
            assert entity.get() == before
        text = json.dumps(entity.get(), ensure_ascii=False, separators=(",", ":"))
        assert json.loads(text) == entity.get()
        assert len(text.encode()) <= entity.weight
