"""Types of which no value could be read from JSON, whatever is written: code, classes, iterators.

pydantic makes a schema for these, and refuses each value later. Here they are found in the schema,
when a worker starts. What may have a value that comes back (None, an empty list, a field that may
be left out) is taken, and so is whatever has code of its own that makes a value from JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from durable.errors import DefinitionError

_CODE: Final = "it holds code, which is not a value: pass its name, and look it up where it is used"
_WHY: Final = {
    "callable": _CODE,
    "is-subclass": _CODE,
    "is-instance": "JSON has no form for {cls}: use a dataclass, a model or a builtin type",
    "generator": "it would be an iterator: annotate what is passed, such as list",
}
_INNER: Final = {  # kinds of schemas that read what another one does, by where that stands
    "definitions": "schema", "default": "schema", "custom-error": "schema", "model": "schema",
    "dataclass": "schema", "function-after": "schema", "model-field": "schema",
    "dataclass-field": "schema", "typed-dict-field": "schema", "call": "arguments_schema",
    "json-or-python": "json_schema", "lax-or-strict": "lax_schema",
}  # fmt: skip

Found = tuple[str, str]
"""Where within the type, such as ".options.on_done", and why not."""


def check_readable(schema: object, hint: str) -> None:
    """Do nothing if a value of the schema could be read, else raise `DefinitionError`.

    `hint` is the type as people write it.
    """
    found = _Search().within(schema)
    if found is not None:
        path, why = found
        where = f"at {path} " if path else ""
        raise DefinitionError(f"no value of the type {hint} could come back: {where}{why}")


class _Search:
    """One look through a schema, whose parts may refer to each other."""

    def __init__(self) -> None:
        self._shared: dict[str, object] = {}
        self._known: dict[str, Found | None] = {}

    def within(self, schema: Any) -> Found | None:
        """What makes the schema unreadable; None if nothing does."""
        kind = schema["type"]
        if kind in _WHY:
            cls = getattr(schema.get("cls"), "__qualname__", "it")
            return "", _CODE if schema.get("cls") is type else _WHY[kind].format(cls=cls)
        is_class = kind in ("model", "dataclass")
        if is_class and ("serialization" in schema or schema.get("custom_init")):
            return None
        if kind == "definitions":
            self._shared.update((part["ref"], part) for part in schema["definitions"])
        if kind in _INNER:
            return self.within(schema[_INNER[kind]])
        look = _LOOKS.get(kind)
        return None if look is None else look(self, schema)

    def definition_ref(self, schema: Any) -> Found | None:
        """A part that stands elsewhere; one that is within itself is taken."""
        name = schema["schema_ref"]
        if name in self._shared and name not in self._known:
            self._known[name] = None
            self._known[name] = self.within(self._shared[name])
        return self._known.get(name)

    def literal(self, schema: Any) -> Found | None:
        """One of some values."""
        is_bytes = all(isinstance(value, bytes) for value in schema["expected"])
        return ("", "bytes are written as text: use literals of text") if is_bytes else None

    def chain(self, schema: Any) -> Found | None:
        """Steps, of which the first reads JSON."""
        return self.within(schema["steps"][0])

    def union(self, schema: Any) -> Found | None:
        """Any of its members will do."""
        parts = (part[0] if isinstance(part, tuple) else part for part in schema["choices"])
        return self._if_all(parts)

    def tagged_union(self, schema: Any) -> Found | None:
        """Any of its members will do."""
        return self._if_all(schema["choices"].values())

    def _if_all(self, parts: Any) -> Found | None:
        found = [self.within(part) for part in parts]
        return None if None in found or not found else found[0]

    def tuple_(self, schema: Any) -> Found | None:
        """All items, but for those of which there may be none."""
        variadic = schema.get("variadic_item_index")
        parts = enumerate(schema["items_schema"])
        return self._first((f"[{place}]", part) for place, part in parts if place != variadic)

    def model_fields(self, schema: Any) -> Found | None:
        """All fields of a model."""
        return self._fields(schema["fields"].items())

    def typed_dict(self, schema: Any) -> Found | None:
        """All keys that must be there."""
        total = schema.get("total", True)
        fields = schema["fields"].items()
        return self._fields((n, field) for n, field in fields if field.get("required", total))

    def dataclass_args(self, schema: Any) -> Found | None:
        """All fields that are given."""
        fields = ((field["name"], field) for field in schema["fields"])
        return self._fields((n, field) for n, field in fields if field.get("init") is not False)

    def arguments(self, schema: Any) -> Found | None:
        """What a named tuple is made of."""
        return self._fields((part["name"], part["schema"]) for part in schema["arguments_schema"])

    def _fields(self, fields: Any) -> Found | None:
        written = ((n, field) for n, field in fields if not field.get("serialization_exclude"))
        return self._first((f".{name}", field) for name, field in written)

    def _first(self, parts: Any) -> Found | None:
        for place, part in parts:
            if (found := self.within(part)) is not None:
                return place + found[0], found[1]
        return None


_LOOKS: Final[dict[str, Callable[[_Search, object], Found | None]]] = {
    "definition-ref": _Search.definition_ref, "literal": _Search.literal, "chain": _Search.chain,
    "union": _Search.union, "tagged-union": _Search.tagged_union, "tuple": _Search.tuple_,
    "model-fields": _Search.model_fields, "typed-dict": _Search.typed_dict,
    "dataclass-args": _Search.dataclass_args, "arguments": _Search.arguments,
}  # fmt: skip
