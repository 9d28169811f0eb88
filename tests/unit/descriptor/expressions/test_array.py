"""`@array`: what each function answers, and when it refuses.

The answers in JAVASCRIPT were given by Node 20.
"""

from __future__ import annotations

import pytest

from durable.descriptor.expressions.values import UNDEFINED
from durable.errors import DescriptorError
from tests.unit.descriptor.expressions.calling import NAN, call, same

JAVASCRIPT = [
    ("length", [[1, 2, 3]], 3),
    ("length", [[]], 0),
    ("length", ["abc"], 3),
    ("concat", [[1], [2, 3]], [1, 2, 3]),
    ("concat", [[1], 2, [3, [4]]], [1, 2, 3, [4]]),
    ("concat", [[1]], [1]),
    ("concat", [[], None], [None]),
    ("indexOf", [["a", "b", "a"], "a"], 0),
    ("indexOf", [["a", "b", "a"], "a", 1], 2),
    ("indexOf", [["a", "b", "a"], "a", -1], 2),
    ("indexOf", [[1, "1"], "1"], 1),
    ("indexOf", [[NAN], NAN], -1),
    ("indexOf", [[1], 2], -1),
    ("indexOf", [[1, 2, 3], 1, -100], 0),
    ("indexOf", [[1, 2], 2, 99], -1),
    ("indexOf", [[None], None], 0),
    ("indexOf", [[True, 1], 1], 1),
    ("lastIndexOf", [["a", "b", "a"], "a"], 2),
    ("lastIndexOf", [["a", "b", "a"], "a", 1], 0),
    ("lastIndexOf", [["a", "b", "a"], "a", -2], 0),
    ("lastIndexOf", [["a"], "z"], -1),
    ("lastIndexOf", [["a", "b"], "b", UNDEFINED], -1),
    ("lastIndexOf", [["a"], "a", -5], -1),
    ("lastIndexOf", [["a", "b"], "a", 99], 0),
    ("join", [["a", "b"], "-"], "a-b"),
    ("join", [[1, None, "x"]], "1,,x"),
    ("join", [[1, [2, 3]], ";"], "1;2,3"),
    ("join", [[]], ""),
    ("join", [[{}], "-"], "[object Object]"),
    ("join", [[True, 1.5], ""], "true1.5"),
    ("join", [["a", "b"], None], "anullb"),
    ("join", [["a", "b"], UNDEFINED], "a,b"),
    ("pop", [[1, 2]], 2),
    ("pop", [[]], UNDEFINED),
    ("push", [[1], 2, 3], [1, 2, 3]),
    ("push", [[1]], [1]),
    ("reverse", [[1, 2, 3]], [3, 2, 1]),
    ("reverse", [[]], []),
    ("shift", [[1, 2]], 1),
    ("shift", [[]], UNDEFINED),
    ("slice", [[1, 2, 3, 4, 5], 1, 3], [2, 3]),
    ("slice", [[1, 2, 3], -2], [2, 3]),
    ("slice", [[1, 2, 3]], [1, 2, 3]),
    ("slice", [[1, 2, 3], 2, 1], []),
    ("slice", [[1, 2, 3], 0, -1], [1, 2]),
    ("slice", [[1, 2, 3], "1"], [2, 3]),
    ("slice", [[1, 2, 3], UNDEFINED, 2], [1, 2]),
    ("splice", [[1, 2, 3, 4], 1, 2], [2, 3]),
    ("splice", [[1, 2, 3], 1], [2, 3]),
    ("splice", [[1, 2, 3]], []),
    ("splice", [[1, 2, 3], -1, 1], [3]),
    ("splice", [[1, 2, 3], 0, 99], [1, 2, 3]),
    ("splice", [[1, 2, 3], 0, -1], []),
    ("splice", [[1, 2, 3], 1, UNDEFINED], []),
    ("splice", [[1, 2], 0, 1, 9], [1]),
    ("unshift", [[1], 2, 3], 3),
    ("unshift", [[]], 0),
]


@pytest.mark.parametrize(("name", "args", "expected"), JAVASCRIPT)
def test_answers_as_javascript_does(name, args, expected):
    """On these arguments each function gives what JavaScript gives."""
    assert same(call(f"array.{name}", args), expected)


OURS = [
    ("get", [["red", "green"], 1], "green"),
    ("get", [["red"], 5], UNDEFINED),
    ("get", [["red"], -1], UNDEFINED),
    ("get", [["red"]], "red"),
    ("get", [["red"], None], "red"),
    ("get", [[{"x": 7}], 0, "x"], 7),
    ("get", [[{"x": 7}], 0, "y"], UNDEFINED),
    ("get", [UNDEFINED, 0], UNDEFINED),
    ("get", [None, 0], UNDEFINED),
    ("get", ["abc", 1], "b"),
    ("length", [None], UNDEFINED),
    ("length", [{}], UNDEFINED),
    ("length", ["a🙂"], 3),
    ("sort", [[10, 9, 1]], [1, 9, 10]),
    ("sort", [["b", "a", "C"]], ["a", "b", "C"]),
    ("sort", [["a", "A", "á", "b"]], ["a", "A", "á", "b"]),
    ("sort", [["10", "9", "-", " ", "_", "é", "e", "z", "Z"]],
     [" ", "_", "-", "10", "9", "e", "é", "z", "Z"]),
    ("sort", [[2, None, 1]], [None, 1, 2]),
    ("sort", [[2, None, 1], "DESCENDING"], [2, 1, None]),
    ("sort", [["a", "b"], "DESCENDING"], ["b", "a"]),
    ("sort", [[True, False]], [False, True]),
    ("sort", [[]], []),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "expected"), OURS)
def test_what_the_language_adds_to_javascript(name, args, expected):
    """`get` forgives what is missing; `sort` orders numbers by size and text for readers."""
    assert same(call(f"array.{name}", args), expected)


@pytest.mark.parametrize(
    "name", ["concat", "push", "reverse", "sort", "splice", "pop", "shift", "unshift", "slice"]
)
def test_nothing_changes_its_argument(name):
    """What JavaScript does in place is done on a copy: job data are never changed by a mapping."""
    original = [3, 1, 2]
    call(f"array.{name}", [original])
    assert original == [3, 1, 2]


@pytest.mark.parametrize("name", ["concat", "indexOf", "join", "pop", "reverse", "sort", "slice"])
@pytest.mark.parametrize("value", [UNDEFINED, None, "abc", 5, {}])
def test_refuses_what_is_no_array(name, value):
    """Only `get` and `length` forgive a receiver that is no array."""
    with pytest.raises(DescriptorError, match="it works on an array"):
        call(f"array.{name}", [value])


def test_sort_refuses_an_unknown_order():
    """An order that is neither ASCENDING nor DESCENDING is an error, not ascending in silence."""
    with pytest.raises(DescriptorError, match="ASCENDING or DESCENDING"):
        call("array.sort", [[1], "descending"])


def test_undefined_in_an_array_becomes_null():
    """JSON arrays hold no undefined: pushing one stores null."""
    assert call("array.push", [[1], UNDEFINED]) == [1, None]
    assert call("array.concat", [[1], UNDEFINED]) == [1, None]
