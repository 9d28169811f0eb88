"""JSON Schemas of signatures, for people: without the titles that pydantic makes of names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from pydantic import JsonValue
from pydantic.errors import PydanticUserError

from durable.codec.adapters import Adapter
from durable.codec.signature import Signature
from durable.descriptor.schema_mismatch import JsonSchema
from durable.errors import DefinitionError
from durable.replay.definitions import DeclaredSignals

Schema = dict[str, JsonValue]

_NAMED: Final = frozenset({"properties", "$defs", "patternProperties", "dependentSchemas"})
"""Keywords whose keys are names of the user's, and whose values are schemas."""

_DATA: Final = frozenset({"default", "const", "enum", "examples", "required"})
"""Keywords that hold data, which is left as it is."""


def schema_of(make: Callable[[], JsonSchema], is_closed: Callable[[], bool] = bool) -> Schema:
    """What `make` gives, as plain JSON; `{}`, which any value fits, where there is no schema.

    Args:
        make: gives a schema as pydantic makes it.
        is_closed: whether objects that list their properties have no others; they may (`bool()`).

    Example:
        >>> schema_of(lambda: {"type": "integer", "title": "N"})
        {'type': 'integer'}
    """
    try:
        schema: Schema = json.loads(json.dumps(make(), allow_nan=False))
        return _tidied(schema, closed=is_closed())
    except (PydanticUserError, DefinitionError, ValueError, TypeError):
        # Of a type without a JSON Schema nothing can be said; the codec still holds values to it.
        return {}


def arguments_schema(signature: Signature) -> Schema:
    """What a function may be called with: a property for each parameter."""
    return schema_of(signature.input_schema, signature.refuses_unknown)


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
    return schema_of(adapter.json_schema, adapter.refuses_unknown)


def _tidied(schema: Schema, *, closed: bool) -> Schema:
    """The schema with its keys sorted, without the titles that pydantic makes of names."""

    def tidied(value: JsonValue) -> JsonValue:
        if isinstance(value, list):
            return [tidied(item) for item in value]
        return _tidied(value, closed=closed) if isinstance(value, dict) else value

    found: Schema = {}
    for key in sorted(schema):
        value = schema[key]
        if key in _NAMED and isinstance(value, dict):
            names = value if key == "properties" else sorted(value)
            found[key] = {name: tidied(value[name]) for name in names}
        elif key != "title":
            found[key] = value if key in _DATA else tidied(value)
    if closed and isinstance(schema.get("properties"), dict):
        found.setdefault("additionalProperties", False)
    return found
