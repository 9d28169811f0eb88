"""Reading YAML: what scalars mean, what is refused, and where things stand."""

from __future__ import annotations

import math

import pytest

from durable.descriptor.yaml_reader import DEPTH_LIMIT, SIZE_LIMIT, line_at, read
from durable.errors import DescriptorError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", "yes"), ("on", "on"), ("NO", "NO"), ("true", True), ("False", False),
        ("tRue", "tRue"),
        ("~", None), ("null", None), ("Null", None), ("nil", "nil"),
        ("0", 0), ("-12", -12), ("+3", 3), ("007", 7), ("0x1F", 31), ("0o17", 15),
        ("1_000", "1_000"),
        ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("-1.5E-2", -0.015), ("1.", 1.0), (".", "."),
        ("1:30", "1:30"), ("2026-01-01", "2026-01-01"), ("51c0ffee", "51c0ffee"), ("300s", "300s"),
        ("'1'", "1"), ('"true"', "true"), ("'it''s'", "it's"), ('"a\\nb"', "a\nb"),
        ("!!str 1", "1"),
        ("<<", "<<"), ("=", "="), ("[1, [a]]", [1, ["a"]]), ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("|\n  a\n  b\n", "a\nb\n"), (">-\n  a\n  b\n", "a b"), ("{1: x}", {"1": "x"}),
        ("{true: x}", {"true": "x"}), ("{'': x}", {"": "x"}), ("[]", []), ("{}", {}),
        ("{a: &x [1], b: *x}", {"a": [1], "b": [1]}),
        ("{a: &x {p: 1, q: 1}, b: {<<: *x, q: 2}}", {"a": {"p": 1, "q": 1}, "b": {"p": 1, "q": 2}}),
        ("{<<: [{a: 1, b: 1}, {b: 2, c: 2}]}", {"a": 1, "b": 1, "c": 2}),
        ("{'<<': 1}", {"<<": 1}),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text, expected):
    """Unquoted text means what JSON and YAML 1.2 make of it, nothing older; merges work."""
    assert read(text)[0] == expected


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{n}: &{n} [{', '.join([f'*{p}'] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' is there twice, first in line 1"),
        ("{a: 1, 'a': 2}", "there twice"),
        ("a: 1\n---\nb: 2", "second document"),
        ("a: [", "this is not YAML"),
        ("a:\tb:\n  - c", "this is not YAML"),
        ("a: !!python/object/apply:os.system [ls]", "tag .* is not allowed"),
        ("a: !custom x", "line 1, column 4: the tag !custom is not allowed"),
        ("a: !!set {x}", "not allowed"),
        ("!x a: 1", "not allowed|plain text"),
        ("a: .inf", "no infinity"),
        ("a: .nan", "no NaN"),
        ("a: 1234e567", "too large; if it is text"),
        ("a: *nope", "nope"),
        ("a: &x [*x]", "names nothing that is complete"),
        ("? [a]\n: 1", "a key is plain text"),
        ("~: 1", "a key is missing"),
        (": 1", "a key is missing|not YAML"),
        ("<<: 5", "merges a mapping"),
        ("[" * 101 + "]" * 101, "nested deeper"),
        ("[" * 100_000, "deep|not YAML"),  # PyYAML may refuse it before we do, in its words
        (BOMB, "more than 200,000 values"),
        ("", "empty"),
        ("# nothing\n", "empty"),
        ("a: \x00", "not YAML"),
        ("a: " + "x" * SIZE_LIMIT, "longer than"),
        ("a: " + "9" * 5000, "digits"),
    ],
)
def test_what_is_refused(text, reason):
    """Ambiguous, dangerous and endless documents are errors, found in bounded time and memory."""
    with pytest.raises(DescriptorError, match=reason):
        read(text)


def test_the_deepest_allowed_document_is_read():
    """The limit on depth is a limit, not an off-by-one."""
    data, _ = read("[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT)
    depth = 0
    while isinstance(data, list):
        data, depth = (data[0] if data else None), depth + 1
    assert depth == DEPTH_LIMIT


def test_lines_are_known_for_keys_and_items():
    """Each key and item has its line; what is missing has that of what surrounds it."""
    _, mark = read("a: 1\nb:\n  - x\n  - y: 2\n    z: [1,\n 2]\nc: {d: {e: 5}}\n")
    lines = {
        (): 1, ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 1, "z"): 5, ("b", 1, "z",
        1): 6,
        ("c", "d", "e"): 7, ("c", "missing"): 7, ("nope",): 1, ("b", 9): 2,
    }  # fmt: skip
    assert {path: line_at(mark, path) for path in lines} == lines


def test_floats_are_finite():
    """Every number that is read can be written as JSON."""
    data, _ = read("[1.7976931348623157e308, 5e-324, 1e-400]")
    assert isinstance(data, list)
    assert all(math.isfinite(value) for value in data)
