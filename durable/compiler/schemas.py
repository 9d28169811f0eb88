"""JSON Schemas of signatures, for people: without the titles that pydantic makes of names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from pydantic import JsonValue
from pydantic.errors import PydanticUserError

from durable.errors import DefinitionError

_NAMED: Final = frozenset({"properties", "$defs", "patternProperties", "dependentSchemas"})
"""Keywords whose keys are names of the user's, and whose values are schemas."""

_DATA: Final = frozenset({"default", "const", "enum", "examples", "required"})
"""Keywords that hold data, which is left as it is."""


def schema_of(make: Callable[[], dict[str, Any]]) -> dict[str, JsonValue]:
    """What `make` gives, as plain JSON; `{}`, which any value fits, where there is no schema.

    Example:
        >>> schema_of(lambda: {"type": "integer", "title": "N"})
        {'type': 'integer'}
    """
    try:
        schema: dict[str, JsonValue] = json.loads(json.dumps(make(), allow_nan=False))
    except (PydanticUserError, DefinitionError, ValueError, TypeError):
        # Of a type without a JSON Schema nothing can be said; the codec still holds values to it.
        return {}
    return _untitled(schema)


def _untitled(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {key: _value(key, value) for key, value in schema.items() if key != "title"}


def _value(key: str, value: JsonValue) -> JsonValue:
    if key in _DATA:
        return value
    if key in _NAMED and isinstance(value, dict):
        return {name: _schema(inner) for name, inner in value.items()}
    return _schema(value)


def _schema(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_schema(item) for item in value]
    return _untitled(value) if isinstance(value, dict) else value
