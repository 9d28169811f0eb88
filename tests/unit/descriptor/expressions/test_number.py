"""`@number`: what each function answers, and when it refuses.

The answers in JAVASCRIPT were given by Node 20.
"""

from __future__ import annotations

import pytest

from durable.descriptor.expressions.values import UNDEFINED
from durable.errors import DescriptorError
from tests.unit.descriptor.expressions.calling import INF, NAN, call, same

JAVASCRIPT = [
    ("isFinite", [42], True),
    ("isFinite", ["42"], False),
    ("isFinite", [INF], False),
    ("isFinite", [NAN], False),
    ("isFinite", [None], False),
    ("isFinite", [], False),
    ("isInteger", [42], True),
    ("isInteger", [42], True),
    ("isInteger", [4.5], False),
    ("isInteger", ["42"], False),
    ("isInteger", [INF], False),
    ("isInteger", [1e300], True),
    ("isInteger", [True], False),
    ("isNaN", ["NaN"], True),
    ("isNaN", [42], False),
    ("isNaN", [UNDEFINED], True),
    ("isNaN", [None], False),
    ("isNaN", [""], False),
    ("isNaN", [[]], False),
    ("isNaN", [{}], True),
    ("isNaN", ["12"], False),
    ("isNaN", [NAN], True),
    ("parseFloat", ["3.14159"], 3.14159),
    ("parseFloat", ["3.14abc"], 3.14),
    ("parseFloat", ["  -2.5e3x"], -2500),
    ("parseFloat", [".5"], 0.5),
    ("parseFloat", ["5."], 5),
    ("parseFloat", ["abc"], NAN),
    ("parseFloat", [""], NAN),
    ("parseFloat", ["Infinityx"], INF),
    ("parseFloat", ["-Infinity"], -INF),
    ("parseFloat", ["1e"], 1),
    ("parseFloat", ["0x10"], 0),
    ("parseFloat", [UNDEFINED], NAN),
    ("parseFloat", [None], NAN),
    ("parseFloat", [12], 12),
    ("parseFloat", ["1_000"], 1),
    ("parseFloat", ["+7"], 7),
    ("parseFloat", ["-.5e-1"], -0.05),
    ("parseFloat", ["-0"], -0.0),
    ("parseFloat", ["\u00a01.5"], 1.5),
    ("parseInt", ["1a", 16], 26),
    ("parseInt", ["42px"], 42),
    ("parseInt", ["  -7.9"], -7),
    ("parseInt", ["0x1F"], 31),
    ("parseInt", ["0x1F", 10], 0),
    ("parseInt", ["0x1F", 16], 31),
    ("parseInt", ["11", 2], 3),
    ("parseInt", ["z", 36], 35),
    ("parseInt", ["12", 1], NAN),
    ("parseInt", ["12", 37], NAN),
    ("parseInt", ["12", 0], 12),
    ("parseInt", ["12", "8"], 10),
    ("parseInt", ["9", 8], NAN),
    ("parseInt", ["19", 8], 1),
    ("parseInt", [""], NAN),
    ("parseInt", ["abc"], NAN),
    ("parseInt", [UNDEFINED], NAN),
    ("parseInt", [None, 36], 1112745),
    ("parseInt", [1e21], 1),
    ("parseInt", [5e-7], 5),
    ("parseInt", ["+5"], 5),
    ("parseInt", ["-0"], -0.0),
    ("parseInt", ["123456789012345678901234567890"], 1.2345678901234568e29),
    ("parseInt", [15.99], 15),
    ("parseInt", ["0b11"], 0),
    ("toFixed", [123.45678, 2], "123.46"),
    ("toFixed", [1.005, 2], "1.00"),
    ("toFixed", [2.5, 0], "3"),
    ("toFixed", [-2.5, 0], "-3"),
    ("toFixed", [1.45, 1], "1.4"),
    ("toFixed", [0.000001, 7], "0.0000010"),
    ("toFixed", [1e21, 2], "1e+21"),
    ("toFixed", [0, 2], "0.00"),
    ("toFixed", [-0.0, 2], "0.00"),
    ("toFixed", [-1e-7, 2], "-0.00"),
    ("toFixed", [123.456], "123"),
    ("toFixed", [100000000000000000000.0, 2], "100000000000000000000.00"),
    ("toFixed", [10.235, 2], "10.23"),
    ("toFixed", [8.345, 2], "8.35"),
    ("toFixed", [NAN, 2], "NaN"),
    ("toFixed", [INF, 2], "Infinity"),
    ("toFixed", [-1.5, "0"], "-2"),
    ("toFixed", [1.25, 1], "1.3"),
    ("toFixed", [5e-324, 3], "0.000"),
    ("toExponential", [123456, 2], "1.23e+5"),
    ("toExponential", [0, 2], "0.00e+0"),
    ("toExponential", [0], "0e+0"),
    ("toExponential", [123456], "1.23456e+5"),
    ("toExponential", [1.5e-7], "1.5e-7"),
    ("toExponential", [-1.25, 1], "-1.3e+0"),
    ("toExponential", [12345, 0], "1e+4"),
    ("toExponential", [99.99, 1], "1.0e+2"),
    ("toExponential", [NAN], "NaN"),
    ("toExponential", [1e-10, 3], "1.000e-10"),
    ("toExponential", [25, 0], "3e+1"),
    ("toPrecision", [42.12345, 4], "42.12"),
    ("toPrecision", [42.12345], "42.12345"),
    ("toPrecision", [0.000001234, 2], "0.0000012"),
    ("toPrecision", [1.234e-7, 2], "1.2e-7"),
    ("toPrecision", [123456, 2], "1.2e+5"),
    ("toPrecision", [0, 3], "0.00"),
    ("toPrecision", [0, 1], "0"),
    ("toPrecision", [99.99, 3], "100"),
    ("toPrecision", [1234.5, 4], "1235"),
    ("toPrecision", [-1.25, 2], "-1.3"),
    ("toPrecision", [1e21, 3], "1.00e+21"),
    ("toPrecision", [1e21, 22], "1000000000000000000000"),
    ("toPrecision", [NAN, 2], "NaN"),
    ("toPrecision", [0.5, 1], "0.5"),
    ("toPrecision", [25, 1], "3e+1"),
    ("toPrecision", [123, 3], "123"),
    ("gte", [40, 40], True),
    ("gte", ["5", 40], False),
    ("gte", ["b", "a"], True),
    ("gte", [UNDEFINED, 1], False),
    ("gte", [None, 0], True),
    ("lte", [1, 2], True),
    ("lte", [NAN, 1], False),
    ("lte", [UNDEFINED, UNDEFINED], False),
    ("gt", [2, 1], True),
    ("gt", ["10", "9"], False),
    ("gt", [10, "9"], True),
    ("lt", [1, 2], True),
    ("lt", [True, 2], True),
    ("lt", [[1], 2], True),
    ("max", [1, 2], 2),
    ("min", [1, 2], 1),
    ("pow", [2, 3], 8),
    ("round", [2.5], 3),
    ("round", [-2.5], -2),
]


@pytest.mark.parametrize(("name", "args", "expected"), JAVASCRIPT)
def test_answers_as_javascript_does(name, args, expected):
    """On these arguments each function gives what JavaScript gives."""
    assert same(call(f"number.{name}", args), expected)


OURS = [
    ("isEven", [4], True),
    ("isEven", ["4"], True),
    ("isEven", [3], False),
    ("isEven", [-2], True),
    ("isEven", [0], True),
    ("isEven", [1.5], False),
    ("isEven", [NAN], False),
    ("isOdd", [3], True),
    ("isOdd", [-3], True),
    ("isOdd", [4], False),
    ("isOdd", [1.5], False),
    ("isOdd", [INF], False),
    ("isOdd", [UNDEFINED], False),
]


@pytest.mark.parametrize(("name", "args", "expected"), OURS)
def test_even_and_odd_are_about_whole_numbers(name, args, expected):
    """A fraction is neither even nor odd, nor is infinity."""
    assert call(f"number.{name}", args) is expected


@pytest.mark.parametrize(
    ("name", "args", "reason"),
    [
        ("toFixed", [1, 101], "from 0 to 100"),
        ("toFixed", [1, -1], "from 0 to 100"),
        ("toFixed", ["1", 1], "not on text"),
        ("toExponential", [1, 101], "from 0 to 100"),
        ("toPrecision", [1, 0], "from 1 to 100"),
        ("toPrecision", [None, 1], "not on null"),
    ],
)
def test_formats_refuse_what_javascript_throws_at(name, args, reason):
    """Formats work on numbers only, with 0 (or 1) to 100 digits."""
    with pytest.raises(DescriptorError, match=reason):
        call(f"number.{name}", args)
