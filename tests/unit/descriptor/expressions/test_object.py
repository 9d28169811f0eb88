"""`@object`: what each function answers, and when it refuses.

The answers in JAVASCRIPT were given by Node 20.
"""

from __future__ import annotations

import pytest

from durable.descriptor.expressions.context import Context, resolver
from durable.descriptor.expressions.pipe import compile_value
from durable.descriptor.expressions.values import UNDEFINED
from durable.errors import DescriptorError
from tests.unit.descriptor.expressions.calling import call, same

JAVASCRIPT = [
    ("keys", [{"color": "red", "size": 1}], ["color", "size"]),
    ("keys", [{"1": 1, "2": 1, "b": 1}], ["1", "2", "b"]),
    ("keys", [{}], []),
    ("keys", [[7, 8]], ["0", "1"]),
    ("keys", ["ab"], ["0", "1"]),
    ("keys", [5], []),
    ("values", [{"a": 1, "b": [2]}], [1, [2]]),
    ("values", [{"1": 2, "b": 1}], [2, 1]),
    ("values", [[7]], [7]),
    ("values", ["ab"], ["a", "b"]),
    ("entries", [{"a": 1, "b": 2}], [["a", 1], ["b", 2]]),
    ("entries", [{"1": 2, "b": 1}], [["1", 2], ["b", 1]]),
    ("entries", [["x"]], [["0", "x"]]),
    ("fromEntries", [[["a", 1], ["b", 2]]], {"a": 1, "b": 2}),
    ("fromEntries", [[]], {}),
    ("fromEntries", [[[1, 2]]], {"1": 2}),
    ("fromEntries", [[["a", 1], ["a", 2]]], {"a": 2}),
    ("assign", [{}, {"a": 1}, {"b": 2}], {"a": 1, "b": 2}),
    ("assign", [{"a": 1}, {"a": 2}], {"a": 2}),
    ("assign", [{"a": 1}, None, UNDEFINED, {"b": 1}], {"a": 1, "b": 1}),
    ("assign", [{}, [7]], {"0": 7}),
    ("assign", [{}, "hi"], {"0": "h", "1": "i"}),
    ("getOwnPropertyNames", [{"name": 1, "age": 2}], ["name", "age"]),
    ("getOwnPropertyNames", [[7]], ["0", "length"]),
    ("getOwnPropertyNames", ["ab"], ["0", "1", "length"]),
    ("getOwnPropertySymbols", [{"a": 1}], []),
    (
        "getOwnPropertyDescriptor",
        [{"age": 30}, "age"],
        {"value": 30, "writable": True, "enumerable": True, "configurable": True},
    ),
    ("getOwnPropertyDescriptor", [{"age": 30}, "x"], UNDEFINED),
    (
        "getOwnPropertyDescriptor",
        [[7], "0"],
        {"value": 7, "writable": True, "enumerable": True, "configurable": True},
    ),
    ("isFrozen", [{}], False),
    ("isFrozen", [{"a": 1}], False),
    ("isFrozen", [5], True),
    ("isFrozen", ["x"], True),
    ("isFrozen", [None], True),
    ("isSealed", [{"a": 1}], False),
    ("isSealed", [5], True),
    ("isExtensible", [{"a": 1}], True),
    ("isExtensible", [[1]], True),
    ("isExtensible", [5], False),
    ("isExtensible", [None], False),
    ("hasOwnProperty", [{"age": 1}, "age"], True),
    ("hasOwnProperty", [{"age": 1}, "x"], False),
    ("hasOwnProperty", [[7], 0], True),
    ("hasOwnProperty", [[7], "length"], True),
    ("hasOwnProperty", ["ab", 1], True),
    ("hasOwnProperty", [{"1": 2}, 1], True),
    ("propertyIsEnumerable", [{"age": 1}, "age"], True),
    ("propertyIsEnumerable", [{"age": 1}, "x"], False),
    ("propertyIsEnumerable", [[7], "length"], False),
]


@pytest.mark.parametrize(("name", "args", "expected"), JAVASCRIPT)
def test_answers_as_javascript_does(name, args, expected):
    """On these arguments each function gives what JavaScript gives."""
    assert same(call(f"object.{name}", args), expected)


OURS = [
    ("get", [{"a": {"b": 1}}, "a"], {"b": 1}),
    ("get", [{"a": 1}, "b"], UNDEFINED),
    ("get", [UNDEFINED, "b"], UNDEFINED),
    ("get", [None, "b"], UNDEFINED),
    ("get", [[5], 0], 5),
    ("get", [{"1": "x"}, 1], "x"),
    ("set", [{"a": 1}, "b", 2], {"a": 1, "b": 2}),
    ("set", [None, "b", 2], {"b": 2}),
    ("set", [UNDEFINED, "b", 2], {"b": 2}),
    ("set", [{"a": 1}, "a", UNDEFINED], {}),
    ("create", [], {}),
    ("create", ["a", 1, "b", None], {"a": 1, "b": None}),
    ("create", ["a", 1, "b"], {"a": 1}),
    ("keys", [None], []),
    ("values", [UNDEFINED], []),
    ("entries", [0], []),
    ("assign", [None, {"a": 1}], {"a": 1}),
    ("getOwnPropertyNames", [None], []),
    ("getOwnPropertyDescriptor", [None, "a"], UNDEFINED),
    ("isPrototypeOf", [{"a": 1}, {"b": 1}], False),
    ("freeze", [{"a": 1}], {"a": 1}),
    ("seal", [[1]], [1]),
    ("preventExtensions", ["x"], "x"),
    ("defineProperty", [{"a": 1}, "b", {"value": 2, "writable": False}], {"a": 1, "b": 2}),
    ("defineProperty", [{"a": 1}, "b", {"value": 2, "enumerable": False}], {"a": 1}),
    ("defineProperties", [{"a": 1}, {"b": {"value": 2}, "c": {}}], {"a": 1, "b": 2, "c": None}),
]


@pytest.mark.parametrize(("name", "args", "expected"), OURS)
def test_what_the_language_adds_to_javascript(name, args, expected):
    """Missing objects are forgiven where the documentation says so; no undefined is stored."""
    result = call(f"object.{name}", args)
    assert result == expected
    assert type(result) is type(expected)


HIDDEN = {"value": 2, "enumerable": False}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["{@object.freeze}"], ["{@object.isFrozen}"]], True),
        ([["{@object.freeze}"], ["{@object.isSealed}"]], True),
        ([["{@object.seal}"], ["{@object.isFrozen}"]], False),
        ([["{@object.seal}"], ["{@object.isSealed}"]], True),
        ([["{@object.preventExtensions}"], ["{@object.isExtensible}"]], False),
        ([["{@object.preventExtensions}"], ["{@object.isSealed}"]], False),
        ([["{@object.freeze}", "a"], ["{@object.getOwnPropertyDescriptor}"]],
         {"value": 1, "writable": False, "enumerable": True, "configurable": False}),
        ([["{@object.seal}", "a", 2], ["{@object.set}"]], {"a": 2}),
        ([["{@object.assign}", "b", HIDDEN], ["{@object.defineProperty}"],
          ["{@object.keys}"]], ["a"]),
        ([["{@object.assign}", "b", HIDDEN], ["{@object.defineProperty}", "b"],
          ["{@object.propertyIsEnumerable}"]], False),
        ([["{@object.assign}", "b", HIDDEN], ["{@object.defineProperty}", "b"],
          ["{@object.hasOwnProperty}"]], True),
    ],
)  # fmt: skip
def test_marks_are_carried_through_a_pipe(rows, expected):
    """Within one pipe an object stays frozen, sealed or closed, and hidden names stay hidden."""
    pipe = compile_value({"@pipe": [[{"a": 1}], *rows]})
    assert pipe.evaluate(Context(resolver({}))) == expected


@pytest.mark.parametrize(
    "rows",
    [
        [["{@object.freeze}", "a", 2], ["{@object.set}"]],
        [["{@object.freeze}", "b", 2], ["{@object.set}"]],
        [["{@object.seal}", "b", 2], ["{@object.set}"]],
        [["{@object.preventExtensions}", {"b": 1}], ["{@object.assign}"]],
        [["{@object.seal}", "a", {"value": 1}], ["{@object.defineProperty}"]],
    ],
)
def test_marked_objects_refuse_writes(rows):
    """What is frozen, sealed or closed refuses as JavaScript's strict mode does."""
    pipe = compile_value({"@pipe": [[{"a": 1}], *rows]})
    with pytest.raises(DescriptorError, match="cannot do this"):
        pipe.evaluate(Context(resolver({})))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("set", ["text", "a", 1]),
        ("set", [[1], "a", 1]),
        ("assign", [5, {}]),
        ("fromEntries", [{"a": 1}]),
        ("fromEntries", [[1]]),
        ("defineProperty", [None, "a", {}]),
        ("defineProperty", [{}, "a", 1]),
        ("defineProperties", [{}, None]),
    ],
)
def test_refuses_what_is_no_object(name, args):
    """Functions that make an object from something need that something to be one."""
    with pytest.raises(DescriptorError, match="cannot do this"):
        call(f"object.{name}", args)


@pytest.mark.parametrize("name", ["set", "assign", "freeze", "seal", "defineProperty"])
def test_nothing_changes_its_argument(name):
    """What JavaScript does in place is done on a copy: job data are never changed by a mapping."""
    original = {"a": 1}
    call(f"object.{name}", [original, "b", {"value": 2}])
    assert original == {"a": 1}
