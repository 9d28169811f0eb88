"""References: how they are read, written, and followed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.descriptor.expressions.context import Context, resolver
from durable.descriptor.expressions.paths import Reference, parse_reference, walk
from durable.descriptor.expressions.values import UNDEFINED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t1.output.data.x", Reference("t1", "output", "data", ("x",))),
        ("t1.output.data.x.y.0", Reference("t1", "output", "data", ("x", "y", "0"))),
        ("t1.output.data", Reference("t1", "output", "data")),
        ("a1.output.metadata.ac", Reference("a1", "output", "metadata", ("ac",))),
        ("h1.hook.data.id", Reference("h1", "hook", "data", ("id",))),
        ("t1.input.data.a", Reference("t1", "input", "data", ("a",))),
        ("$self.output.data.x", Reference("$self", "output", "data", ("x",))),
        ("$self.hook.data", Reference("$self", "hook", "data")),
        ("$job.data.x", Reference("$job", "", "data", ("x",))),
        ("$job.metadata.jid", Reference("$job", "", "metadata", ("jid",))),
        (".start.output.data.x", Reference(".start", "output", "data", ("x",))),
        ("billing.charge.output.data.x", Reference("billing.charge", "output", "data", ("x",))),
        ("t1.output.data.output.data", Reference("t1", "output", "data", ("output", "data"))),
        ("t1.output.data.first name", Reference("t1", "output", "data", ("first name",))),
        ("t1.output.data.$error", Reference("t1", "output", "data", ("$error",))),
        ("$item.a.b", Reference("$item", "", "", ("a", "b"))),
        ("$index", Reference("$index", "", "")),
    ],
)
def test_a_reference_is_read(text, expected):
    """Every documented form is read, ids with dots included, and written back as it was."""
    assert parse_reference(text) == expected
    assert str(expected) == "{" + text + "}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("t1", "it must read"),
        ("t1.data.x", "it must read"),
        ("t1.output.x", "it must read"),
        ("t1.outputs.data.x", "it must read"),
        (".output.data.x", "it must read"),
        ("$job.output.data.x", "after $job"),
        ("$job", "after $job"),
        ("$jobs.data.x", "is not known"),
        ("$app.output.data.x", "is not known"),
        ("t1.output.data.x..y", "empty key"),
        ("t1.output.data.x.", "empty key"),
    ],
)
def test_what_is_no_reference_is_explained(text, reason):
    """A malformed reference gives a sentence that says what is wrong."""
    result = parse_reference(text)
    assert isinstance(result, str)
    assert reason in result


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        ({"a": {"b": 1}}, ("a", "b"), 1),
        ({"a": None}, ("a",), None),
        ({"a": None}, ("a", "b"), UNDEFINED),
        ({"a": [1, {"b": 2}]}, ("a", "1", "b"), 2),
        ({"a": [1]}, ("a", "1"), UNDEFINED),
        ({"a": [1]}, ("a", "-1"), UNDEFINED),
        ({"a": [1]}, ("a", "01"), UNDEFINED),
        ({"a": [1, 2]}, ("a", "length"), 2),
        ({"a": "a🙂"}, ("a", "length"), 3),
        ({"a": "xyz"}, ("a", "1"), "y"),
        ({"0": "zero"}, ("0",), "zero"),
        (5, ("a",), UNDEFINED),
        (UNDEFINED, ("a",), UNDEFINED),
        (7, (), 7),
    ],
)
def test_a_path_is_walked(value, path, expected):
    """Objects, arrays and text are walked as in JavaScript; nowhere is undefined."""
    assert walk(value, path) == expected


KEYS = st.text(st.characters(blacklist_characters='.{}"\n'), min_size=1, max_size=5)


@given(st.lists(KEYS, max_size=4))
def test_reading_undoes_writing(path):
    """A reference that is written out is read back as the same reference."""
    reference = Reference("t1", "output", "data", tuple(path))
    assert parse_reference(str(reference)[1:-1]) == reference


def test_the_resolver_knows_self_and_job():
    """Over plain data `$self` is the named activity, or data of its own; `$job` has no section."""
    documents = {
        "a1": {"output": {"data": {"x": 1}}, "hook": {"data": {"y": 2}}},
        "$self": {"hook": {"data": {"y": 3}}},
        "$job": {"data": {"z": 4}, "metadata": {"jid": "j"}},
    }
    named, bare = resolver(documents, "a1"), resolver(documents)
    assert named(Reference("$self", "hook", "data", ("y",))) == 2
    assert bare(Reference("$self", "hook", "data", ("y",))) == 3
    assert bare(Reference("$job", "", "data", ("z",))) == 4
    assert bare(Reference("gone", "output", "data", ("x",))) is UNDEFINED


def test_loop_variables_come_from_the_context():
    """Loop variables are looked up in the context itself, not by `resolve`."""
    context = Context(resolver({})).within({"$item": {"a": [7]}})
    assert context.lookup(Reference("$item", "", "", ("a", "0"))) == 7
    assert context.lookup(Reference("$key", "", "")) is UNDEFINED
