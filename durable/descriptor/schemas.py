"""JSON Schemas that a graph asks to be checked by (`validate: true`), compiled once per version.

The checker is `jsonschema`, which the extra `schema` installs. Nothing is ever fetched: a `$ref`
leads somewhere within its own schema, or nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

from pydantic import JsonValue

from durable.descriptor.misfits import JsonSchema
from durable.descriptor.model import Await as AwaitPart
from durable.descriptor.model import Cycle, Graph, Hook, Trigger, Worker
from durable.descriptor.parts import HookPort, Port
from durable.descriptor.schema_patterns import in_linear_time, pattern_problems
from durable.errors import ConfigurationError, DescriptorError
from durable.expressions.expression import Path

MISSING: Final = (
    None
    if find_spec("jsonschema")
    else "schemas are checked by a package that is not installed: "
    "pip install 'durable-postgres[schema]'"
)
"""What to do before schemas can be checked, None when they can."""

SAID_MAX = 300  # characters of what a schema has to say about data, which it likes to repeat


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where data does not fit a schema (`$.items[0].price`), and why not."""

    path: str
    message: str


class Checker:
    """One schema, compiled.

    Raises `ConfigurationError` where the package that checks is not installed, `DescriptorError`
    for what is no schema.

    Example:
        >>> Checker({"properties": {"a": {"type": "number"}}}).mismatch({"a": "x"})
        Mismatch(path='$.a', message="'x' is not of type 'number'")
    """

    def __init__(self, schema: JsonSchema) -> None:
        if MISSING is not None:
            raise ConfigurationError(MISSING)
        for _, message in problems(schema):
            raise DescriptorError(message)
        from referencing.jsonschema import EMPTY_REGISTRY  # noqa: PLC0415 - of the extra `schema`

        validator = in_linear_time(_dialect(schema), schema)
        self._validator = validator(schema, registry=EMPTY_REGISTRY)

    def mismatch(self, data: object) -> Mismatch | None:
        """What is most wrong with plain data, None when it fits."""
        from jsonschema.exceptions import best_match  # noqa: PLC0415 - of the extra `schema`

        found = best_match(self._validator.iter_errors(data))
        if found is None:
            return None
        message = str(found.message)
        cut = message if len(message) <= SAID_MAX else f"{message[:SAID_MAX]}…"
        return Mismatch(str(found.json_path), cut)


def _dialect(schema: JsonSchema) -> Any:
    """The validator of the dialect that a schema names; 2020-12 unless it names one."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - of the extra `schema`
    from jsonschema.validators import validator_for  # noqa: PLC0415

    unknown: Any = None
    return validator_for(schema, unknown) if "$schema" in schema else Draft202012Validator


def problems(schema: JsonSchema) -> Iterator[tuple[Path, str]]:
    """What is wrong with a schema, with where in it."""
    from jsonschema.exceptions import best_match  # noqa: PLC0415 - of the extra `schema`

    dialect = _dialect(schema)
    if dialect is None:
        yield ("$schema",), f"there is no dialect {schema['$schema']!r} of JSON Schema"
        return
    found = best_match(dialect(dialect.META_SCHEMA).iter_errors(schema))
    if found is not None:
        yield tuple(found.absolute_path), f"it is no JSON Schema: {found.message:.{SAID_MAX}}"
        return
    yield from _lost(schema)


def _lost(schema: JsonSchema) -> Iterator[tuple[Path, str]]:
    """References that lead nowhere."""
    from referencing.exceptions import Unresolvable  # noqa: PLC0415 - of the extra `schema`
    from referencing.jsonschema import (  # noqa: PLC0415 - of the extra `schema`
        DRAFT202012,
        EMPTY_REGISTRY,
    )

    root = DRAFT202012.detect(schema).create_resource(schema)
    resolver = EMPTY_REGISTRY.resolver_with_root(root)
    for path, reference in _references(schema, ()):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            yield path, f"{reference!r} leads nowhere within this schema, and nothing is fetched"


def _references(value: object, at: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "$ref" and isinstance(inner, str):
                yield (*at, key), inner
            else:
                yield from _references(inner, (*at, key))
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _references(inner, (*at, index))


# --- where in a graph ----------------------------------------------------------------------------

Schemas = Iterator[tuple[Path, str, dict[str, JsonValue] | None]]
"""Path of a side, the name by which its checker is found, its schema."""


def _of_graph(graph: Graph) -> Schemas:
    for name in ("input", "output"):
        port = getattr(graph, name)
        if port is not None and port.validate_:
            yield (name,), name, port.schema_


def _of_activity(activity: object, at: Path) -> Schemas:
    for name in ("input", "output", "job", "signal", "resolver", "hook"):
        port = getattr(activity, name, None)
        if isinstance(port, (Port, HookPort)) and port.validate_:
            yield (*at, name), name, port.schema_
    for code, port in getattr(getattr(activity, "output", None), "by_code", {}).items():
        if port.validate_:
            yield (*at, "output", code), code, port.schema_


def _means_nothing(activity: object, name: str) -> str | None:
    if isinstance(activity, Trigger):
        return "what a job is started with is checked by the graph's `input`"
    if name == "job":
        return "the job's data is checked by the graph's `output`, when the job ends"
    if name == "input" and not isinstance(activity, (Worker, AwaitPart, Cycle)):
        return "this kind of activity is given no input"
    if name in ("signal", "resolver") or (name == "hook" and not isinstance(activity, Hook)):
        return "what is signalled is checked by the hook that gets it"
    return None


def schema_problems(graph: Graph) -> Iterator[tuple[Path, str]]:
    """What is wrong with the schemas that a graph asks to be checked by."""
    for path, _, schema in _of_graph(graph):
        yield from _of_side(path, schema)
    for aid, activity in graph.activities.items():
        for path, name, schema in _of_activity(activity, ("activities", aid)):
            if problem := _means_nothing(activity, name):
                yield (*path, "validate"), problem
            else:
                yield from _of_side(path, schema)


def _of_side(path: Path, schema: JsonSchema | None) -> Iterator[tuple[Path, str]]:
    if schema is None:
        yield (*path, "validate"), "there is no `schema` here to check by"
    elif MISSING is not None:
        yield (*path, "validate"), MISSING
    else:
        found = list(problems(schema)) or pattern_problems(schema)
        for where, message in found:
            yield (*path, "schema", *where), message


def graph_checks(graph: Graph) -> dict[str, Checker]:
    """The checkers of a graph: `input`, `output`."""
    return {name: Checker(schema or {}) for _, name, schema in _of_graph(graph)}


def activity_checks(activity: object) -> dict[str, Checker]:
    """The checkers of an activity: `input`, `output`, `hook`, or a code such as `500`."""
    return {name: Checker(schema or {}) for _, name, schema in _of_activity(activity, ())}
