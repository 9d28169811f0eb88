"""`@conditional`: what each function answers.

The answers in JAVASCRIPT were given by Node 20.
"""

from __future__ import annotations

import pytest

from durable.descriptor.expressions.values import UNDEFINED
from tests.unit.descriptor.expressions.calling import NAN, call, same

JAVASCRIPT = [
    ("ternary", [True, "a", "b"], "a"),
    ("ternary", [0, "a", "b"], "b"),
    ("ternary", ["", "a", "b"], "b"),
    ("ternary", ["0", "a", "b"], "a"),
    ("ternary", [[], "a", "b"], "a"),
    ("ternary", [{}, "a", "b"], "a"),
    ("ternary", [None, "a", "b"], "b"),
    ("ternary", [NAN, "a", "b"], "b"),
    ("ternary", [UNDEFINED, "a", "b"], "b"),
    ("ternary", [True, "a"], "a"),
    ("ternary", [False, "a"], UNDEFINED),
    ("ternary", [-0.0, "a", "b"], "b"),
    ("equality", [42, "42"], True),
    ("equality", [None, UNDEFINED], True),
    ("equality", [None, 0], False),
    ("equality", ["", 0], True),
    ("equality", [[1], 1], True),
    ("equality", [[], ""], True),
    ("equality", [{}, "[object Object]"], True),
    ("equality", [True, 1], True),
    ("equality", [True, "1"], True),
    ("equality", [False, ""], True),
    ("equality", [NAN, NAN], False),
    ("equality", ["a", "a"], True),
    ("equality", [" 1 ", 1], True),
    ("equality", [[1, 2], "1,2"], True),
    ("equality", [UNDEFINED, 0], False),
    ("equality", [True, "true"], False),
    ("strict_equality", [42, "42"], False),
    ("strict_equality", [1, 1], True),
    ("strict_equality", [None, UNDEFINED], False),
    ("strict_equality", ["a", "a"], True),
    ("strict_equality", [True, 1], False),
    ("strict_equality", [NAN, NAN], False),
    ("strict_equality", [0, -0.0], True),
    ("strict_equality", [UNDEFINED, UNDEFINED], True),
    ("strict_equality", [None, None], True),
    ("inequality", [1, "1"], False),
    ("inequality", [1, 2], True),
    ("strict_inequality", [1, "1"], True),
    ("strict_inequality", [1, 1], False),
    ("greater_than", [42, 30], True),
    ("greater_than", ["b", "a"], True),
    ("greater_than", ["10", 9], True),
    ("greater_than", ["10", "9"], False),
    ("greater_than", [None, -1], True),
    ("greater_than", [UNDEFINED, 1], False),
    ("greater_than", [NAN, 1], False),
    ("greater_than", [[2], 1], True),
    ("greater_than", ["🙂", "￿"], False),
    ("less_than", [42, 50], True),
    ("less_than", ["10", "9"], True),
    ("less_than", ["a", 1], False),
    ("less_than", [None, 1], True),
    ("less_than", [True, 2], True),
    ("less_than", ["", "a"], True),
    ("greater_than_or_equal", [42, 42], True),
    ("greater_than_or_equal", [None, 0], True),
    ("greater_than_or_equal", [UNDEFINED, UNDEFINED], False),
    ("greater_than_or_equal", [NAN, NAN], False),
    ("greater_than_or_equal", ["a", "a"], True),
    ("less_than_or_equal", [42, 42], True),
    ("less_than_or_equal", [UNDEFINED, None], False),
    ("less_than_or_equal", ["Z", "a"], True),
    ("less_than_or_equal", [[], 0], True),
    ("nullish", [0, 10], 0),
    ("nullish", [None, 10], 10),
    ("nullish", [UNDEFINED, 10], 10),
    ("nullish", ["", 1], ""),
    ("nullish", [False, 1], False),
    ("nullish", [None, None], None),
    ("nullish", [NAN, 1], NAN),
    ("nullish", [None], UNDEFINED),
]


@pytest.mark.parametrize(("name", "args", "expected"), JAVASCRIPT)
def test_answers_as_javascript_does(name, args, expected):
    """On these arguments each function gives what JavaScript gives."""
    assert same(call(f"conditional.{name}", args), expected)
