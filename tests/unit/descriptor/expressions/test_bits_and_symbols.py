"""`@bitwise`, `@unary`, `@symbol`: what each function answers.

The answers were given by Node 20, but for `unary.positive`, which the language promises otherwise.
"""

from __future__ import annotations

import pytest

from durable.descriptor.expressions.values import UNDEFINED
from tests.unit.descriptor.expressions.calling import INF, NAN, call, same

ANSWERS = [
    ("bitwise.and", [6, 3], 2),
    ("bitwise.and", [-1, 2**32 + 5], 5),
    ("bitwise.and", ["6", True], 0),
    ("bitwise.and", [NAN, 7], 0),
    ("bitwise.and", [5], 0),
    ("bitwise.or", [6, 3], 7),
    ("bitwise.or", [2**31, 0], -(2**31)),
    ("bitwise.or", [1.9, -0.5], 1),
    ("bitwise.or", [INF, None], 0),
    ("bitwise.xor", [6, 3], 5),
    ("bitwise.xor", [-1, 1], -2),
    ("bitwise.xor", [{}, [7]], 7),
    ("bitwise.leftShift", [1, 31], -(2**31)),
    ("bitwise.leftShift", [1, 32], 1),
    ("bitwise.leftShift", [3, -1], -(2**31)),
    ("bitwise.rightShift", [-8, 1], -4),
    ("bitwise.rightShift", [2**31, 31], -1),
    ("bitwise.rightShift", [8, 33], 4),
    ("bitwise.unsignedRightShift", [-1, 0], 2**32 - 1),
    ("bitwise.unsignedRightShift", [-8, 28], 15),
    ("bitwise.unsignedRightShift", [5, UNDEFINED], 5),
    ("unary.not", [0], True),
    ("unary.not", ["0"], False),
    ("unary.not", [[]], False),
    ("unary.not", [], True),
    ("unary.not", [NAN], True),
    ("unary.positive", [-42], 42),
    ("unary.positive", ["-1.5"], 1.5),
    ("unary.positive", [-0.0], 0),
    ("unary.positive", [UNDEFINED], NAN),
    ("unary.positive", [-INF], INF),
    ("unary.negative", [42], -42),
    ("unary.negative", [-42], 42),
    ("unary.negative", [0], -0.0),
    ("unary.negative", ["3"], -3),
    ("unary.negative", [None], -0.0),
    ("unary.negative", ["x"], NAN),
    ("unary.bitwise_not", [42], -43),
    ("unary.bitwise_not", [-1], 0),
    ("unary.bitwise_not", ["x"], -1),
    ("unary.bitwise_not", [2**31], 2**31 - 1),
    ("unary.bitwise_not", [1.9], -2),
    ("symbol.null", [], None),
    ("symbol.undefined", [], UNDEFINED),
    ("symbol.whitespace", [], " "),
    ("symbol.object", [], {}),
    ("symbol.array", [], []),
    ("symbol.posInfinity", [], INF),
    ("symbol.negInfinity", [], -INF),
    ("symbol.NaN", [], NAN),
]


@pytest.mark.parametrize(("name", "args", "expected"), ANSWERS)
def test_answers(name, args, expected):
    """Each operator works on 32 bits, each symbol is its value."""
    assert same(call(name, args), expected)


def test_the_symbol_for_now_is_a_date():
    """`symbol.date` is the context's time, in whole milliseconds, as text when it leaves a pipe."""
    assert call("symbol.date", []) == "2023-11-14T22:13:20.123Z"
