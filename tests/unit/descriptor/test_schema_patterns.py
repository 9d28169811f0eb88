"""Patterns of JSON Schemas are searched for in linear time, and mean what they do in JavaScript."""

from __future__ import annotations

import time
from typing import Any

import pytest

from durable.descriptor.schema_patterns import pattern_problems
from durable.descriptor.schemas import Checker

SLOW = "(a+)+$"
LONG = "a" * 40 + "!"  # on which a backtracking engine is busy for days
FIRST = "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(
    ("schema", "data", "fits"),
    [
        ({"pattern": SLOW}, LONG, False),
        ({"pattern": SLOW}, "aaa", True),
        ({"pattern": "^a$"}, "a\n", False),  # which Python's $ would take
        ({"patternProperties": {SLOW: False}}, {LONG: 1}, True),
        ({"patternProperties": {SLOW: False}}, {"aa": 1}, False),
        ({"patternProperties": {SLOW: True}, "additionalProperties": False}, {LONG: 1}, False),
        ({"patternProperties": {SLOW: True}, "additionalProperties": False}, {"aa": 1}, True),
        ({"propertyNames": {"pattern": SLOW}}, {LONG: 1}, False),
        ({"$schema": FIRST, "pattern": SLOW}, LONG, False),
        (
            {
                "$schema": FIRST,
                "$defs": {"a": {"$schema": FIRST, "pattern": SLOW}},
                "properties": {"x": {"$ref": "#/$defs/a"}, "y": {"$ref": "#"}},
            },
            {"y": {"x": LONG}},
            False,
        ),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#", "items": {"pattern": SLOW}},
            [LONG],
            False,
        ),
        ({"pattern": "a"}, 5, True),
        ({"patternProperties": {"a": False}, "additionalProperties": False}, [1], True),
    ],
)
def test_each_keyword_searches_in_linear_time(
    schema: dict[str, Any], data: object, *, fits: bool
) -> None:
    """Whatever keyword a pattern stands in, and wherever, it is answered rightly and at once."""
    began = time.process_time()
    assert (Checker(schema).mismatch(data) is None) == fits
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"pattern": r"(a)\1"}, ("pattern",)),
        ({"pattern": "("}, ("pattern",)),
        ({"properties": {"p": {"pattern": "(?=a)"}}}, ("properties", "p", "pattern")),
        ({"properties": {"default": {"pattern": "(?=a)"}}}, ("properties", "default", "pattern")),
        ({"anyOf": [{"patternProperties": {"(?!a)": {}}}]},
         ("anyOf", 0, "patternProperties", "(?!a)")),
        ({"patternProperties": {"a": {}}, "unevaluatedProperties": False},
         ("unevaluatedProperties",)),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_for_is_named_with_its_place(
    schema: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    """Deployment refuses it by its path; a schema that was stored before refuses its data."""
    assert [where for where, _ in pattern_problems(schema)] == [path]
    if path == ("pattern",) and schema["pattern"] != "(":
        assert "cannot be searched for" in str(Checker(schema).mismatch("aa"))


def test_what_only_looks_like_a_pattern_is_none() -> None:
    """Data within a schema, and properties that are called `pattern`, are left alone."""
    schema = {
        "const": {"pattern": r"(a)\1"},
        "properties": {"pattern": {"type": "string"}, "enum": {"enum": [{"pattern": "("}]}},
        "unevaluatedProperties": False,
    }
    assert list(pattern_problems(schema)) == []
