"""Whether data fits a generated JSON Schema: what is surely wrong is found.

Types, fields, elements, choices and references are looked at, which needs no other package; what a
schema says beyond that is checked by the receiver of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from durable.descriptor.commands import Plain

JsonSchema = Plain
"""A JSON Schema as plain data: what stands below a keyword is for that keyword to say."""

Root = tuple[object, int]
"""A whole schema, for references, and how deep a part is within it."""

_DEPTH_MAX = 50
_NOT_FINITE: Final = ("Infinity", "-Infinity", "NaN")  # how such numbers are written in JSON

_TYPES: Final[Mapping[str, Callable[[object], bool]]] = MappingProxyType(
    {
        "null": lambda v: v is None,
        "boolean": lambda v: isinstance(v, bool),
        "integer": lambda v: type(v) is int or (isinstance(v, float) and v.is_integer()),
        "number": lambda v: (
            (isinstance(v, (int, float)) and not isinstance(v, bool))
            or (isinstance(v, str) and v in _NOT_FINITE)
        ),
        "string": lambda v: isinstance(v, str),
        "array": lambda v: isinstance(v, list),
        "object": lambda v: isinstance(v, dict),
    }
)


def mismatch(schema: JsonSchema, data: object, path: str = "payload") -> str | None:
    """What is wrong with plain data by a schema, None when nothing is.

    Example:
        >>> schema = {"type": "object", "properties": {"by": {"type": "string"}},
        ...           "required": ["by"], "additionalProperties": False}
        >>> mismatch(schema, {"by": "ann"}), mismatch(schema, {"by": 7})
        (None, 'payload.by is not of type string')
        >>> mismatch(schema, {"by": "ann", "comment": "?"})
        "payload has an unknown field 'comment'; there are 'by'"
    """
    return next(_findings(schema, data, path, (schema, 0)), None)


def _findings(schema: object, data: object, path: str, root: Root) -> Iterator[str]:
    whole, depth = root
    if not isinstance(schema, Mapping) or depth > _DEPTH_MAX:
        return
    deeper = (whole, depth + 1)
    if isinstance(reference := schema.get("$ref"), str):
        yield from _findings(_referred(whole, reference), data, path, deeper)
    yield from _types(schema, data, path)
    for part in schema.get("allOf", ()):
        yield from _findings(part, data, path, deeper)
    choices = schema.get("anyOf") or schema.get("oneOf") or ()
    found = [next(_findings(choice, data, path, deeper), None) for choice in choices]
    if found and None not in found:
        yield " or ".join(dict.fromkeys(str(one) for one in found))
    if isinstance(data, dict):
        yield from _fields(schema, data, path, deeper)
    elif isinstance(data, list):
        yield from _elements(schema, data, path, deeper)


def _types(schema: JsonSchema, data: object, path: str) -> Iterator[str]:
    named = schema.get("type", ())
    types = [named] if isinstance(named, str) else list(named)
    if types and not any(_TYPES.get(name, _anything)(data) for name in types):
        yield f"{path} is not of type {' or '.join(types)}"
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if values is not None and data not in values:
        yield f"{path} is not one of {', '.join(map(repr, values))}"


def _fields(schema: JsonSchema, data: Mapping[str, object], path: str, root: Root) -> Iterator[str]:
    properties = schema.get("properties", {})
    yield from (
        f"{path} lacks the field {n!r}" for n in schema.get("required", ()) if n not in data
    )
    for name, value in data.items():
        if name in properties:
            yield from _findings(properties[name], value, f"{path}.{name}", root)
        elif "patternProperties" in schema:
            continue
        elif schema.get("additionalProperties") is False:
            known = ", ".join(map(repr, properties)) or "none"
            yield f"{path} has an unknown field {name!r}; there are {known}"
        else:
            yield from _findings(schema.get("additionalProperties"), value, f"{path}.{name}", root)


def _elements(schema: JsonSchema, data: list[object], path: str, root: Root) -> Iterator[str]:
    first = schema.get("prefixItems", ())
    if not schema.get("minItems", 0) <= len(data) <= schema.get("maxItems", len(data)):
        yield f"{path} has {len(data)} elements"
    for index, value in enumerate(data):
        part = first[index] if index < len(first) else schema.get("items")
        yield from _findings(part, value, f"{path}[{index}]", root)


def _referred(whole: object, reference: str) -> object:
    found = whole
    for part in reference.removeprefix("#/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _anything(_value: object) -> bool:
    return True
