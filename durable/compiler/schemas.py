"""JSON Schemas of signatures, for people: without the titles that pydantic makes of names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from pydantic import JsonValue
from pydantic.errors import PydanticUserError

from durable.codec.adapters import Adapter
from durable.codec.signature import Signature
from durable.definitions import DeclaredSignals
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


def arguments_schema(signature: Signature) -> dict[str, JsonValue]:
    """What a function may be called with: a property for each parameter."""
    schema = schema_of(signature.input_schema)
    return _closed(schema) if schema and signature.refuses_unknown else schema


def signals_schema(declared: DeclaredSignals) -> dict[str, JsonValue] | None:
    """What may be signalled to a workflow: a property for each signal, none else if that is known.

    None where nothing is known.
    """
    properties: dict[str, JsonValue] = {
        name: _payload(adapter) for name, adapter in sorted(declared.adapters.items())
    }
    if declared.complete:
        known: dict[str, JsonValue] = {"properties": properties} if properties else {}
        return {"type": "object", **known, "additionalProperties": False}
    return {"type": "object", "properties": properties} if properties else None


def _payload(adapter: Adapter) -> dict[str, JsonValue]:
    if adapter.hint is None:
        return {"type": "null"}
    schema = schema_of(adapter.json_schema)
    return _closed(schema) if schema and adapter.refuses_unknown else schema


def _closed(schema: Any) -> Any:
    """The schema with all objects closed that list their properties: others are refused."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {
        key: value if key in _DATA else _closed_in(key, value) for key, value in schema.items()
    }
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    return closed


def _closed_in(key: str, value: Any) -> Any:
    if key in _NAMED and isinstance(value, dict):
        return {name: _closed(inner) for name, inner in value.items()}
    return _closed(value)


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
