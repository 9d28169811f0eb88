"""`@json`: what `stringify` and `parse` answer, and when they refuse.

The answers were given by Node 20.
"""

from __future__ import annotations

import pytest

from durable.descriptor.expressions.context import Context, resolver
from durable.descriptor.expressions.pipe import compile_value
from durable.descriptor.expressions.values import UNDEFINED
from durable.errors import DescriptorError
from tests.unit.descriptor.expressions.calling import INF, NAN, NOW, call, same

DEEP: list[object] = []
for _ in range(100_000):
    DEEP = [DEEP]

WRITTEN = [
    ([1], "1"),
    ([1.0], "1"),
    ([-0.0], "0"),
    ([1e21], "1e+21"),
    ([NAN], "null"),
    ([[INF, None]], "[null,null]"),
    ([True], "true"),
    (['a"b\\c\n\t\x01\u2028é🙂'], '"a\\"b\\\\c\\n\\t\\u0001\u2028é🙂"'),
    (["\ud83d"], '"\\ud83d"'),
    ([None], "null"),
    ([UNDEFINED], UNDEFINED),
    ([], UNDEFINED),
    ([{}], "{}"),
    ([[], None, 2], "[]"),
    ([{"b": 1, "10": 2, "2": 3}], '{"2":3,"10":2,"b":1}'),
    ([{"a": [1, {"b": 2}]}, None, 1], '{\n "a": [\n  1,\n  {\n   "b": 2\n  }\n ]\n}'),
    ([[1], None, "--"], "[\n--1\n]"),
    ([[1], None, "123456789012"], "[\n12345678901\n]"),
    ([[1], None, 99], "[\n          1\n]"),
    ([[1], None, -1], "[1]"),
    ([[1], None, True], "[1]"),
    ([{"a": 1, "b": {"a": 2, "c": 3}}, ["a", "b"]], '{"a":1,"b":{"a":2}}'),
    ([{"a": 1, "7": 2}, [7, "gone", "a", "a"]], '{"7":2,"a":1}'),
    ([{"a": 1}, []], "{}"),
    ([[{"a": 1}], {"a": 1}], '[{"a":1}]'),
]  # fmt: skip


@pytest.mark.parametrize(("args", "expected"), WRITTEN)
def test_stringify(args, expected):
    """Values are written as JavaScript writes them: order, escapes, indentation, chosen names."""
    assert same(call("json.stringify", args), expected)


READ = [
    ("1", 1),
    ("1.0", 1),
    ("-0", -0.0),
    ("1e3", 1000),
    ("1e400", INF),
    ("1" * 400, INF),
    ("123456789012345678901", 123456789012345678901),
    (' \t\n[1, {"a": null}] ', [1, {"a": None}]),
    ('{"a": 1, "a": 2}', {"a": 2}),
    ('"\\u00e9\\n\\/"', "é\n/"),
    ('{"\\ud83d": ["\\ud83d\\ude42", "\\ude42"]}', {"\ufffd": ["🙂", "\ufffd"]}),
    (None, None),
    (5, 5),
    (True, True),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_parse(text, expected):
    """JSON is read as JavaScript reads it, whole numbers with all their digits."""
    assert same(call("json.parse", [text]), expected)


@pytest.mark.parametrize(
    "text",
    ["", "x", "{a: 1}", "[1,]", "'a'", "NaN", "[Infinity]", "-Infinity", "01", "1.", "[1] 2",
     '"\n"', UNDEFINED, {}, "\ufeff1", "[" * 100_000],
)  # fmt: skip
def test_what_is_no_json_is_refused(text):
    """What JavaScript throws at is an error that does not repeat the text, which may be secret."""
    with pytest.raises(DescriptorError, match=r"the text is no JSON|nested too deeply"):
        call("json.parse", [text])


def test_nesting_without_end_is_refused():
    """A value that is nested absurdly deep is an error, not a crash of the interpreter."""
    with pytest.raises(DescriptorError, match="nested too deeply"):
        call("json.stringify", [DEEP])


def test_a_date_is_written_as_its_text():
    """A date among the values is written as in JavaScript, in the standard's form."""
    rows = [["{@symbol.date}"], ["{@json.stringify}"]]
    context = Context(resolver({}), now=lambda: NOW)
    assert compile_value({"@pipe": rows}).evaluate(context) == '"2023-11-14T22:13:20.123Z"'
