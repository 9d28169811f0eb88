"""`@logical`: what each function answers.

The answers in JAVASCRIPT were given by Node 20.
"""

from __future__ import annotations

import pytest

from durable.descriptor.expressions.values import UNDEFINED
from tests.unit.descriptor.expressions.calling import call, same

JAVASCRIPT = [
    ("and", [True, True], True),
    ("and", [True, False], False),
    ("and", [0, 5], 0),
    ("and", ["a", "b"], "b"),
    ("and", [1, None, 2], None),
    ("or", [False, True], True),
    ("or", [0, ""], ""),
    ("or", [None, "x", 1], "x"),
    ("or", ["a", "b"], "a"),
]


@pytest.mark.parametrize(("name", "args", "expected"), JAVASCRIPT)
def test_answers_as_javascript_does(name, args, expected):
    """On these arguments each function gives what JavaScript gives."""
    assert same(call(f"logical.{name}", args), expected)


@pytest.mark.parametrize("name", ["and", "or"])
def test_no_arguments_give_undefined(name):
    """Without anything to decide on there is no value."""
    assert call(f"logical.{name}", []) is UNDEFINED
