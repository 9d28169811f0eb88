"""Dataclasses that do not take all of their fields: what is set after the others are given.

A `field(init=False)` with a default is written by pydantic, and refused where it is read. Here it
is left out, and set again by the class when the value is read: by its default or `__post_init__`.
Whether it is then what it was is looked at, as of any value. An `InitVar` is the other way round:
needed, and kept nowhere.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import SchemaSerializer

from durable.errors import DefinitionError

_METHODS: Final = {
    kind: method.__name__
    for kind, method in GenerateJsonSchema().build_schema_type_to_method().items()
}
_PLAIN: Final = frozenset({type(None), bool, int, str})


class WrittenSchema(GenerateJsonSchema):
    """The JSON Schema of what is written: without fields that are not given."""

    def build_schema_type_to_method(self) -> dict[Any, Any]:
        """The method for each type of core schema, whose names are put together once."""
        self._methods = {key: getattr(self, name) for key, name in _METHODS.items()}
        return self._methods

    def generate_inner(self, schema: Any) -> JsonSchemaValue:
        """The schema of a part, at once where the part has nothing by which pydantic changes it."""
        if schema.get("metadata") or "ref" in schema or "serialization" in schema:
            return super().generate_inner(schema)
        found: JsonSchemaValue = self._methods[schema["type"]](schema)
        return found

    def field_is_present(self, field: Any) -> bool:
        """Whether a field is a property."""
        return field.get("init", True) is not False and super().field_is_present(field)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        """Whether a field's name is made a title, which says nothing new: it is not."""
        return False

    def encode_default(self, dft: Any) -> Any:
        """A default as JSON; pydantic builds an adapter for each, which plain ones do not need."""
        plain = type(dft) in _PLAIN or (type(dft) in (dict, list) and not dft)
        return dft if plain else super().encode_default(dft)

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:  # noqa: ARG002
        """As it is: what prints or hashes schemas has an order of its own."""
        return value


def serializer_of(adapter: TypeAdapter[Any], config: Any) -> Any:
    """The writer of an adapter, which leaves out what the reader would refuse.

    Raises `DefinitionError` for a class of which no value could be read, whatever is written.
    """
    schema: Any = adapter.core_schema
    given = _given_only(schema)
    return adapter.serializer if given is schema else SchemaSerializer(given, config)


def _given_only(schema: Any) -> Any:
    """The schema with such fields left out of what is written; itself where there is none."""
    if isinstance(schema, dict):
        if schema.get("type") == "dataclass":
            _check(schema["cls"])
        parts = {k: v if k == "metadata" else _given_only(v) for k, v in schema.items()}
        if schema.get("type") == "dataclass-field" and schema.get("init") is False:
            return {**parts, "serialization_exclude": True}
        return parts if any(parts[key] is not schema[key] for key in parts) else schema
    if isinstance(schema, list):
        items = [_given_only(part) for part in schema]
        same = all(one is other for one, other in zip(items, schema, strict=True))
        return schema if same else items
    return schema


def _check(cls: type) -> None:
    for field in vars(cls).get("__dataclass_fields__", {}).values():
        if str(field._field_type) == "_FIELD_INITVAR" and not _has_default(field):  # noqa: SLF001
            raise DefinitionError(
                f"{cls.__qualname__}.{field.name} is an InitVar without a default, which no value"
                " keeps, so that none could be made again: make it a field"
            )
    for field in dataclasses.fields(cls) if is_pydantic_dataclass(cls) else ():
        if not field.init and _has_default(field):
            raise DefinitionError(
                f"{cls.__qualname__}.{field.name} is field(init=False) with a default in a pydantic"
                " dataclass, which writes it and refuses to read it: set it in __post_init__,"
                " without a default, or use @dataclasses.dataclass"
            )


def _has_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing
