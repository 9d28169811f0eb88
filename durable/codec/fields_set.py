"""Which fields of pydantic models were given: `model_fields_set` is kept beside the fields.

All fields are written, so that a default that changes later changes nothing that is under way. A
model of which only some were given has one key more in its JSON, that names these. The JSON is
walked along the value, so only models are marked, and only where one is found to be partial.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, RootModel

KEY: Final = "__fields_set__"
"""The key within a model's JSON; no field of pydantic's may be called so."""

_SCALARS: Final = frozenset(
    {str, int, float, bool, bytes, type(None), dt.datetime, dt.date, dt.timedelta, Decimal, UUID}
)


def is_partial(value: Any) -> bool:
    """Whether some model within was not given all of its fields."""
    kind = type(value)
    if kind in _SCALARS:
        return False
    if getattr(value, "__pydantic_fields_set__", None) is not None and _is_marked(value):
        return True
    if kind is list or kind is tuple:
        held = value
    elif isinstance(value, (list, tuple, dict)):
        held = list(value.values() if isinstance(value, dict) else value)
    else:
        held = [item for _, item in _fields(value)]
    return not _SCALARS.issuperset(map(type, held)) and any(map(is_partial, held))


def marked(text: str, value: object) -> str:
    """The JSON text of a partial value, with the names of what was given."""
    form = json.loads(text)
    _mark(form, value)
    return json.dumps(form, separators=(",", ":"), ensure_ascii=False)


def unmarked(text: str) -> tuple[str, object]:
    """The text as pydantic knows it, and the marked form, for `restore`."""
    form = json.loads(text)
    return json.dumps(_plain(form), separators=(",", ":"), ensure_ascii=False), form


def plain_value(text: str) -> Any:
    """The value of a text as plain data, where its type is not known: without the marks.

    A dict of the user's own is left alone, whatever its keys are called.

    Example:
        >>> plain_value('{"a":1,"b":2,"__fields_set__":["a"]}')
        {'a': 1, 'b': 2}
    """
    value = json.loads(text)
    return _shown(value) if KEY in text else value


def plain_object(text: str | None) -> dict[str, object]:
    """The value of a text as data of a graph, which is an object: else it stands in `result`.

    Example:
        >>> plain_object('{"a":1}'), plain_object("7"), plain_object(None)
        ({'a': 1}, {'result': 7}, {'result': None})
    """
    value = None if text is None else plain_value(text)
    return value if isinstance(value, dict) else {"result": value}


def restore(value: object, form: object) -> None:
    """Set in the models of the value, just read, which of their fields were given."""
    for model, known in _pairs(value, form):
        given = known.get(KEY)
        if isinstance(given, list):
            object.__setattr__(model, "__pydantic_fields_set__", set(given))


def _mark(form: object, value: object) -> None:
    for model, known in _pairs(value, form):
        if _is_marked(model):
            known[KEY] = sorted(model.__pydantic_fields_set__)


def _is_marked(model: BaseModel) -> bool:
    extra = model.__pydantic_extra__
    count = len(type(model).__pydantic_fields__) + (len(extra) if extra else 0)
    return len(model.__pydantic_fields_set__) != count and not isinstance(model, RootModel)


def _pairs(value: object, form: object) -> list[tuple[BaseModel, dict[str, object]]]:
    """The models within a value, each with the object that it is in JSON."""
    found: list[tuple[BaseModel, dict[str, object]]] = []
    open_ = [(value, form)]
    while open_:
        one, known = open_.pop()
        if isinstance(one, RootModel):
            open_.append((one.root, known))
        elif isinstance(known, dict):
            if isinstance(one, BaseModel):
                found.append((one, known))
            if isinstance(one, dict):
                # Keys that are not text are spelled by pydantic, in the same order.
                values = [item for key, item in known.items() if key != KEY]
                if len(one) == len(values):
                    open_ += zip(one.values(), values, strict=True)
            else:
                open_ += [(item, known[name]) for name, item in _fields(one) if name in known]
        elif isinstance(known, list) and isinstance(one, (list, tuple)) and len(one) == len(known):
            open_ += zip(one, known, strict=True)
    return found


def _fields(value: Any) -> list[tuple[str, object]]:
    if hasattr(type(value), "__pydantic_fields_set__"):
        return [*value.__dict__.items(), *(value.__pydantic_extra__ or {}).items()]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [
            (field.name, getattr(value, field.name))
            for field in dataclasses.fields(value)
            if hasattr(value, field.name)
        ]
    return []


def _shown(form: object) -> object:
    if isinstance(form, list):
        return [_shown(item) for item in form]
    if not isinstance(form, dict):
        return form
    hidden = KEY if _is_mark(form.get(KEY), form) else None
    return {key: _shown(item) for key, item in form.items() if key != hidden}


def _is_mark(given: object, form: dict[str, object]) -> bool:
    """Whether it names fields of this object; fields that are never written may be among them."""
    if not isinstance(given, list) or len(form) == 1:
        return False
    return not given or any(isinstance(name, str) and name in form for name in given)


def _plain(form: object) -> object:
    if isinstance(form, dict):
        return {key: _plain(item) for key, item in form.items() if key != KEY}
    return [_plain(item) for item in form] if isinstance(form, list) else form
