"""Guards: a look at a value that says "this is sure to come back as it went in".

A guard may be wrong in one direction only. True means that pydantic's JSON of the value, read
back under the same hint, gives an equal value of the same types. False means only "not sure", and
the value takes the slow path, where it is written, read back and compared. That is why guards look
at exact types, and give up early on whatever has validators, aliases, constraints or subclasses.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import typing_extensions
from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo
from pydantic_core import TzInfo

Guard = Callable[[Any], bool]

_INT_MAX = 2**63  # beyond it, text and parser have limits of their own: let the slow path see
_PLAIN_DEPTH_MAX = 100  # the JSON parser stops at 200 levels; also ends on a list within itself
_MISSING = object()  # fits no guard


def guard_for(hint: Any) -> Guard:
    """The guard of a resolved type hint; `never` for a hint that is not understood.

    Example:
        >>> sure = guard_for(list[int | None])
        >>> sure([1, None]), sure([True]), sure((1,))
        (True, False, False)
    """
    return _Compiler().compile(hint)


def never(_value: Any) -> bool:
    """The guard that is never sure."""
    return False


def plain(value: Any, depth: int = _PLAIN_DEPTH_MAX) -> bool:
    """Whether JSON alone, without any hint, keeps the value: dicts with text keys, lists, scalars.

    Example:
        >>> plain({"a": [1, 2.5, None]}), plain({"a": (1, 2)}), plain({1: "a"})
        (True, False, False)
    """
    kind = type(value)
    scalar = _PLAIN_SCALARS.get(kind)
    if scalar is not None:
        return scalar(value)
    if not depth or (kind is not list and kind is not dict):
        return False
    if kind is dict:
        if not _all_str(value):
            return False
        value = value.values()
    for item in value:  # noqa: SIM110 - a generator costs more
        # Most items are text: those are not worth a call.
        if type(item) is not str and not plain(item, depth - 1):
            return False
    return True


def _is_none(value: Any) -> bool:
    return value is None


def _is_str(value: Any) -> bool:
    return type(value) is str


def _is_int(value: Any) -> bool:
    return type(value) is int and -_INT_MAX <= value < _INT_MAX


def _is_bool(value: Any) -> bool:
    return value is True or value is False


def _is_float(value: Any) -> bool:
    return type(value) is float and math.isfinite(value)


def _is_datetime(value: Any) -> bool:
    if type(value) is not dt.datetime or value.fold:
        return False
    zone = value.tzinfo
    return zone is None or zone is dt.UTC or type(zone) is TzInfo


def _all_str(values: Any) -> bool:
    return set(map(type, values)) <= {str}


def _all_int(values: Any) -> bool:
    if not values:
        return True
    if not set(map(type, values)) <= {int}:
        return False
    return bool(min(values) >= -_INT_MAX and max(values) < _INT_MAX)


_PLAIN_SCALARS: dict[type, Guard] = {
    types.NoneType: _is_none,
    str: _is_str,
    bool: _is_bool,
    int: _is_int,
    float: _is_float,
}
_SCALARS: dict[Any, Guard] = {
    **_PLAIN_SCALARS,
    None: _is_none,
    bytes: lambda value: type(value) is bytes,
    Decimal: lambda value: type(value) is Decimal and value.is_finite(),
    uuid.UUID: lambda value: type(value) is uuid.UUID,
    dt.datetime: _is_datetime,
    dt.date: lambda value: type(value) is dt.date,
    dt.time: lambda value: type(value) is dt.time and value.tzinfo is None and not value.fold,
    dt.timedelta: lambda value: type(value) is dt.timedelta,
    Path: lambda value: type(value) is type(Path()),
    Any: plain,
    object: plain,
}

# Members that differ in JSON by themselves; any other mixture takes the slow path.
_DISTINCT = {_is_none, _is_str, _is_int, _is_bool, _is_float}


class _Compiler:
    """Builds the guard of one hint; a type that contains itself is left to the slow path."""

    def __init__(self) -> None:
        self._open: list[Any] = []

    def compile(self, hint: Any) -> Guard:
        """The guard of `hint`."""
        # Depth of a type within itself has no bound, and the JSON parser has one.
        if any(hint is other for other in self._open):
            return never
        self._open.append(hint)
        try:
            return self._build(hint)
        finally:
            self._open.pop()

    def _build(self, hint: Any) -> Guard:
        try:
            if hint in _SCALARS:
                return _SCALARS[hint]
        except TypeError:  # an unhashable hint, such as Annotated[int, []]
            return never
        origin = typing.get_origin(hint)
        if origin is not None:
            return self._generic(hint, origin, typing.get_args(hint))
        if isinstance(hint, typing.NewType):
            return self.compile(hint.__supertype__)
        if isinstance(hint, typing_extensions.TypeAliasType):
            return self.compile(hint.__value__)
        return self._class(hint) if isinstance(hint, type) else never

    def _class(self, hint: type) -> Guard:
        if issubclass(hint, enum.Enum):
            return _enum(hint)
        if typing_extensions.is_typeddict(hint):
            return self._typed_dict(hint)
        if issubclass(hint, BaseModel):
            return self._model(hint)
        if dataclasses.is_dataclass(hint):
            return self._dataclass(hint)
        bare: dict[type, Any] = {
            list: list[Any], dict: dict[str, Any], set: set[Any], frozenset: frozenset[Any],
            tuple: tuple[Any, ...],
        }  # fmt: skip
        return self.compile(bare[hint]) if hint in bare else never

    def _generic(self, hint: Any, origin: Any, args: tuple[Any, ...]) -> Guard:
        if origin in (typing.Union, types.UnionType):
            return self._union(args)
        if origin is typing.Annotated:
            is_prose = all(isinstance(extra, str) for extra in hint.__metadata__)
            return self.compile(args[0]) if is_prose else never
        build = {
            typing.Literal: lambda: _literal(args),
            typing.Required: lambda: self.compile(args[0]),
            typing.NotRequired: lambda: self.compile(args[0]),
            list: lambda: _items(list, self.compile(args[0])),
            set: lambda: _items(set, self.compile(args[0])),
            frozenset: lambda: _items(frozenset, self.compile(args[0])),
            tuple: lambda: self._tuple(args),
            dict: lambda: _mapping(self.compile(args[0]), self.compile(args[1])),
        }.get(origin)
        return never if build is None else build()

    def _union(self, args: tuple[Any, ...]) -> Guard:
        members = [self.compile(arg) for arg in args]
        rest = [member for member in members if member is not _is_none]
        if len(rest) == 1 and len(members) > 1:
            only = rest[0]
            return lambda value: value is None or only(value)
        if set(members) <= _DISTINCT:
            return lambda value: any(member(value) for member in members)
        return never

    def _tuple(self, args: tuple[Any, ...]) -> Guard:
        if len(args) == 2 and args[1] is Ellipsis:  # noqa: PLR2004 - tuple[T, ...]
            return _items(tuple, self.compile(args[0]))
        if any(typing.get_origin(arg) is typing_extensions.Unpack for arg in args):
            return never
        guards = tuple(self.compile(arg) for arg in args)

        def check(value: Any) -> bool:
            return (
                type(value) is tuple
                and len(value) == len(guards)
                and all(guard(item) for guard, item in zip(guards, value, strict=True))
            )

        return check

    def _typed_dict(self, hint: Any) -> Guard:
        if hasattr(hint, "__pydantic_config__"):
            return never
        guards = self._fields(hint)
        if guards is None:
            return never
        required = frozenset(hint.__required_keys__)

        def check(value: Any) -> bool:
            return (
                type(value) is dict
                and required <= value.keys() <= guards.keys()
                and all(guards[key](item) for key, item in value.items())
            )

        return check

    def _dataclass(self, hint: type) -> Guard:
        if not _is_simple_dataclass(hint):
            return never
        guards = self._fields(hint)
        if guards is None:
            return never
        names = {field.name for field in dataclasses.fields(hint)}
        return _instance(hint, {name: guards[name] for name in guards if name in names})

    def _model(self, hint: type[BaseModel]) -> Guard:
        if not _is_simple_model(hint):
            return never
        guards = {name: self.compile(field.annotation) for name, field in hint.model_fields.items()}
        inner = _instance(hint, guards)
        return lambda value: inner(value) and not value.__pydantic_extra__

    def _fields(self, hint: Any) -> dict[str, Guard] | None:
        try:
            hints = typing_extensions.get_type_hints(hint, include_extras=True)
        except (NameError, TypeError):
            return None  # pydantic may still know the names: let it, on the slow path
        return {name: self.compile(inner) for name, inner in hints.items()}


def _instance(cls: type, guards: Mapping[str, Guard]) -> Guard:
    """Exactly this class, exactly these attributes."""
    count, pairs = len(guards), tuple(guards.items())
    if not hasattr(cls, "__dict__") or "__dict__" not in dir(cls):
        return lambda value: (
            type(value) is cls
            and all(guard(getattr(value, name, _MISSING)) for name, guard in pairs)
        )

    def check(value: Any) -> bool:
        if type(value) is not cls:
            return False
        held = value.__dict__
        if len(held) != count:
            return False
        for name, guard in pairs:  # noqa: SIM110 - a generator costs twice as much here
            if not guard(held.get(name, _MISSING)):
                return False
        return True

    return check


def _items(kind: Any, guard: Guard) -> Guard:
    if guard is _is_str:
        return lambda value: type(value) is kind and _all_str(value)
    if guard is _is_int:
        return lambda value: type(value) is kind and _all_int(value)
    return lambda value: type(value) is kind and all(map(guard, value))


def _mapping(key: Guard, item: Guard) -> Guard:
    if key is _is_str or key is plain:
        return lambda value: (
            type(value) is dict and _all_str(value) and all(map(item, value.values()))
        )
    if key is _is_int:
        return lambda value: (
            type(value) is dict and all(map(key, value)) and all(map(item, value.values()))
        )
    return never


def _enum(hint: type[enum.Enum]) -> Guard:
    if issubclass(hint, enum.Flag) or "__get_pydantic_core_schema__" in dir(hint):
        return never
    kinds = {type(member.value) for member in hint}
    return (lambda value: type(value) is hint) if kinds in ({str}, {int}) else never


def _literal(values: tuple[Any, ...]) -> Guard:
    kinds = {type(value) for value in values}
    if kinds not in ({str}, {int}):
        return never
    (kind,) = kinds
    allowed = frozenset(values)
    return lambda value: type(value) is kind and value in allowed


_ODD = (
    "__post_init__",
    "__pydantic_config__",
    "__pydantic_validator__",
    "__get_pydantic_core_schema__",
    "__get_validators__",
)


def _is_simple_dataclass(hint: type) -> bool:
    """Whether pydantic does no more than fill in the fields."""
    pseudo = vars(hint).get("__dataclass_fields__")
    if pseudo is None or any(hasattr(hint, name) for name in _ODD):
        return False
    fields = dataclasses.fields(hint)
    return (
        len(pseudo) == len(fields)  # no InitVar, no ClassVar
        and hint.__dataclass_params__.init  # type: ignore[attr-defined]
        and all(field.init and not isinstance(field.default, FieldInfo) for field in fields)
        and all(not field.metadata for field in fields)
    )


def _is_simple_model(hint: type[BaseModel]) -> bool:
    """Whether pydantic does no more than fill in the fields."""
    decorators = hint.__pydantic_decorators__
    return (
        bool(hint.__pydantic_complete__)
        and not issubclass(hint, RootModel)
        and hint.__init__ is BaseModel.__init__
        and hint.model_post_init is BaseModel.model_post_init
        and "__get_pydantic_core_schema__" not in _below(hint)
        and not hint.__private_attributes__
        and set(hint.model_config) <= {"frozen", "title", "validate_assignment", "extra"}
        and not any(getattr(decorators, name) for name in decorators.__dataclass_fields__)
        and all(_is_simple_field(field) for field in hint.model_fields.values())
    )


def _is_simple_field(field: FieldInfo) -> bool:
    return not field.metadata and not field.exclude and field.discriminator is None


def _below(hint: type[BaseModel]) -> set[str]:
    """Names defined by the model's own classes, up to but without `BaseModel`."""
    classes = hint.__mro__[: hint.__mro__.index(BaseModel)]
    return {name for cls in classes for name in vars(cls)}
