"""JSON Schemas, compiled: what is wrong with data by a schema, and with the schema itself.

The checker is `jsonschema`, which the extra `schema` installs. Nothing is ever fetched: a `$ref`
leads somewhere within its own schema, or nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

from durable.descriptor.expressions.expression import Path
from durable.descriptor.schema_mismatch import JsonSchema
from durable.descriptor.schema_patterns import in_linear_time
from durable.errors import ConfigurationError, DescriptorError

MISSING: Final = (
    None
    if find_spec("jsonschema")
    else "schemas are checked by a package that is not installed: "
    "pip install 'durable-postgres[schema]'"
)
"""What to do before schemas can be checked, None when they can."""

SHOWN_MAX = 300  # characters of a finding of a schema, which may repeat all of the data


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where data does not fit a schema (`$.items[0].price`), and why not."""

    path: str
    message: str


class Checker:
    """One schema, compiled.

    Raises `ConfigurationError` where the package that checks is not installed, `DescriptorError`
    for what is not a schema.

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
        cut = message if len(message) <= SHOWN_MAX else f"{message[:SHOWN_MAX]}…"
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
        yield tuple(found.absolute_path), f"it is not a JSON Schema: {found.message:.{SHOWN_MAX}}"
        return
    yield from _dangling(schema)


def _dangling(schema: JsonSchema) -> Iterator[tuple[Path, str]]:
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
