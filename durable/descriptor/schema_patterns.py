"""Patterns of JSON Schemas, searched for in linear time: no job's data stops an engine.

`jsonschema` searches by Python's `re`, which a few characters of data can keep busy for hours. Here
`pattern`, `patternProperties` and `additionalProperties` are checked by the engine of
`{@string.search}`, with JavaScript's meaning, as JSON Schema asks. What that engine has not
(backreferences, lookaround) is refused at deploy; a schema that was stored earlier fails the data
that comes to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from durable.descriptor.expressions.expression import Path
from durable.descriptor.expressions.regex_syntax import RegexError
from durable.descriptor.expressions.regexes import compile_regex
from durable.descriptor.schema_mismatch import JsonSchema

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

Keyword: TypeAlias = "Callable[[Validator, object, object, JsonSchema], Iterator[ValidationError]]"
"""How a keyword of a schema is checked: with its value, the data, and the schema that has it."""

_NAMES: Final = frozenset(
    {
        "properties", "patternProperties", "$defs", "definitions", "dependentSchemas",
        "dependencies",
    }
)  # fmt: skip
"""What maps names, of the user's choice, to schemas."""

_DATA: Final = frozenset({"const", "enum", "default", "examples", "example"})

_BOTH: Final = (
    "`unevaluatedProperties` cannot be checked where the schema has `patternProperties`: list the"
    " properties in each branch, and close it by `additionalProperties`"
)


def pattern_problems(schema: JsonSchema) -> Iterator[tuple[Path, str]]:
    """What cannot be searched for in linear time, with where in the schema it stands.

    Example:
        >>> next(pattern_problems({"properties": {"a": {"pattern": "(x)"}}}), None)
    """
    found = list(_keywords(schema, ()))
    both = any(path[-1] == "patternProperties" for path, _ in found)
    for path, value in found:
        if path[-1] == "pattern" and isinstance(value, str):
            yield from _problem(path, value)
        elif path[-1] == "patternProperties" and isinstance(value, Mapping):
            for pattern in value:
                yield from _problem((*path, pattern), pattern)
        elif path[-1] == "unevaluatedProperties" and both:
            yield path, _BOTH


def _problem(path: Path, pattern: str) -> Iterator[tuple[Path, str]]:
    try:
        compile_regex(pattern)
    except RegexError as error:
        yield path, f"the pattern {pattern!r} cannot be searched for: {error}"


def _keywords(value: object, at: Path, *, names: bool = False) -> Iterator[tuple[Path, object]]:
    """Every keyword of a schema and of those within it, with its path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not names:
                yield (*at, key), inner
            if names or key not in _DATA:
                yield from _keywords(inner, (*at, key), names=not names and key in _NAMES)
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _keywords(inner, (*at, index))


def in_linear_time(dialect: Any, schema: JsonSchema) -> Any:
    """The validator of a dialect, with keywords of ours where it would search by `re`.

    Schemas within the schema are of the same dialect, whatever they say.
    """
    from attrs import evolve  # noqa: PLC0415 - what `jsonschema`, of the extra `schema`, needs
    from jsonschema.validators import extend  # noqa: PLC0415

    ours = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional(dialect.VALIDATORS["additionalProperties"]),
    }
    if any(path[-1] == "patternProperties" for path, _ in _keywords(schema, ())):
        ours["unevaluatedProperties"] = _refused
    known = {k: v for k, v in ours.items() if k in dialect.VALIDATORS}
    untyped: Any = extend
    made = untyped(dialect, known)
    made.evolve = evolve  # else a schema that names its dialect is checked by that one's keywords
    return made


def _error(message: str) -> ValidationError:
    from jsonschema import ValidationError  # noqa: PLC0415 - of the extra `schema`

    return ValidationError(message)


def _pattern(
    _validator: Validator, pattern: str, instance: object, _schema: JsonSchema
) -> Iterator[ValidationError]:
    if not isinstance(instance, str):
        return
    try:
        found = compile_regex(pattern).search(instance)
    except RegexError as error:
        yield _error(f"the pattern {pattern!r} cannot be searched for: {error}")
        return
    if found < 0:
        yield _error(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Validator, patterns: JsonSchema, instance: object, _schema: JsonSchema
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        try:
            matching = [name for name in instance if compile_regex(pattern).search(name) >= 0]
        except RegexError as error:
            yield _error(f"the pattern {pattern!r} cannot be searched for: {error}")
            continue
        for name in matching:
            yield from validator.descend(  # type: ignore[attr-defined]
                instance[name], subschema, path=name, schema_path=pattern
            )


def _additional(usual: Keyword) -> Keyword:
    """`additionalProperties`, which leaves aside the names that a pattern has."""

    def check(
        validator: Validator, value: object, instance: object, schema: JsonSchema
    ) -> Iterator[ValidationError]:
        patterns = schema.get("patternProperties")
        if not patterns or not isinstance(instance, dict):
            yield from usual(validator, value, instance, schema)
            return
        try:
            had = {n for n in instance for p in patterns if compile_regex(p).search(n) >= 0}
        except RegexError:
            return  # which `patternProperties` says
        rest = {name: inner for name, inner in instance.items() if name not in had}
        without = {key: inner for key, inner in schema.items() if key != "patternProperties"}
        yield from usual(validator, value, rest, without)

    return check


def _refused(
    _validator: Validator, _value: object, instance: object, _schema: JsonSchema
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        yield _error(_BOTH)
