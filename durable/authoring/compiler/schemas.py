"""JSON Schemas of signatures, for people: without the titles that pydantic makes of names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from pydantic import JsonValue
from pydantic.errors import PydanticUserError

from durable.codec.adapters import Adapter
from durable.codec.signature import Signature
from durable.descriptor.misfits import JsonSchema
from durable.errors import DefinitionError
from durable.replay.definitions import DeclaredSignals

Schema = dict[str, JsonValue]

_NAMED: Final = frozenset({"properties", "$defs", "patternProperties", "dependentSchemas"})
"""Keywords whose keys are names of the user's, and whose values are schemas."""

_DATA: Final = frozenset({"default", "const", "enum", "examples", "required"})
"""Keywords that hold data, which is left as it is."""


def schema_of(make: Callable[[], JsonSchema]) -> Schema:
    """What `make` gives, as plain JSON; `{}`, which any value fits, where there is no schema.

    Example:
        >>> schema_of(lambda: {"type": "integer", "title": "N"})
        {'type': 'integer'}
    """
    try:
        schema: Schema = json.loads(json.dumps(make(), allow_nan=False))
    except (PydanticUserError, DefinitionError, ValueError, TypeError):
        # Of a type without a JSON Schema nothing can be said; the codec still holds values to it.
        return {}
    return _untitled(schema)


def arguments_schema(signature: Signature) -> Schema:
    """What a function may be called with: a property for each parameter."""
    schema = schema_of(signature.input_schema)
    return _closed(schema) if schema and signature.refuses_unknown else schema


def signals_schema(declared: DeclaredSignals) -> Schema | None:
    """What may be signalled to a workflow: a property for each signal, none else if that is known.

    None where nothing is known.
    """
    properties: Schema = {
        name: _payload(adapter) for name, adapter in sorted(declared.adapters.items())
    }
    if declared.complete:
        known: Schema = {"properties": properties} if properties else {}
        return {"type": "object", **known, "additionalProperties": False}
    return {"type": "object", "properties": properties} if properties else None


def _payload(adapter: Adapter) -> Schema:
    if adapter.hint is None:
        return {"type": "null"}
    schema = schema_of(adapter.json_schema)
    return _closed(schema) if schema and adapter.refuses_unknown else schema


def _closed(schema: Schema) -> Schema:
    """All objects closed that list their properties: others are refused."""

    def close(part: Schema) -> Schema:
        lists = isinstance(part.get("properties"), dict) and "additionalProperties" not in part
        return {**part, "additionalProperties": False} if lists else part

    return _everywhere(schema, close)


def _untitled(schema: Schema) -> Schema:
    """Without the titles that pydantic makes of names."""
    return _everywhere(
        schema, lambda part: {key: value for key, value in part.items() if key != "title"}
    )


def _everywhere(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """The schema with a change made to it, and to every schema within it."""

    def below(value: JsonValue) -> JsonValue:
        if isinstance(value, list):
            return [below(item) for item in value]
        return _everywhere(value, change) if isinstance(value, dict) else value

    def changed(key: str, value: JsonValue) -> JsonValue:
        if key in _DATA:
            return value
        if key in _NAMED and isinstance(value, dict):
            return {name: below(inner) for name, inner in value.items()}
        return below(value)

    return change({key: changed(key, value) for key, value in schema.items()})
