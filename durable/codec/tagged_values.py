"""Values of exceptions as JSON and back, by their exact types.

An exception has no annotations, so what JSON lacks says what it is: `{"$tuple": [1, 2]}`. Only
types whose values are rebuilt without running code of the user's are taken.
"""

from __future__ import annotations

import base64
import datetime as dt
import enum
import math
import sys
import types
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

from durable.codec.inspection import clean, names_in, path_of, shown

_DEPTH_MAX = 40
_SIZE_MAX = 512 * 1024  # characters and items of all that one failure keeps
_INT_MAX = 2**63
_ITEM = 256  # characters that an item counts for: it takes as long to be looked at

WriteError = Callable[[BaseException], object]
ReadError = Callable[[object], BaseException]


class NotKept(Exception):
    """A value that has no form here; the message is its `repr`, short."""


class Budget:
    """How much one failure may still keep, in characters and items."""

    def __init__(self, left: int = _SIZE_MAX) -> None:
        self.left = left

    def take(self, size: int) -> None:
        """Count so much. `NotKept` once there is too much."""
        self.left -= size
        if self.left < 0:
            raise NotKept("too large to be kept")


def json_keeps(value: Any, budget: Budget, depth: int = 2 * _DEPTH_MAX) -> bool:
    """Whether JSON, and Postgres, hold the value as it is; its exact types alone are looked at."""
    budget.take(_ITEM)
    kind = type(value)
    if kind is str:
        budget.take(len(value))
        return bool(clean(value, len(value)) == value)
    if kind is list or kind is dict:
        inner = value if kind is list else [*value.keys(), *value.values()]
        if depth <= 0 or (kind is dict and not all(type(key) is str for key in value)):
            return False
        return all(json_keeps(one, budget, depth - 1) for one in inner)
    if kind is int or kind is float:
        return _WRITERS[kind](value)[0] == ""
    return value is None or kind is bool


class Writer:
    """Writes values.

    Args:
        error: writes an exception that is found within a value.
        budget: shared by all that is written for one failure.

    Example:
        >>> Writer(str, Budget()).write((1, b"a"))
        {'$tuple': [1, {'$bytes': 'YQ=='}]}
    """

    def __init__(self, error: WriteError, budget: Budget) -> None:
        self._error = error
        self._budget = budget
        self.tagged = False  # whether anything was written that JSON alone would not give back

    def write(self, value: object, depth: int = _DEPTH_MAX) -> Any:
        """The JSON-able form. `NotKept` if there is none."""
        if depth < 0:
            raise NotKept("nested too deep to be kept")
        self._budget.take(1)
        kind = type(value)
        if value is None or kind is bool:
            return value
        write = _WRITERS.get(kind)
        if write is not None:
            return self._scalar(*write(value))
        return self._composed(value, kind, depth)

    def _composed(self, value: Any, kind: type, depth: int) -> object:
        if kind is dict:
            return self._dict(value, depth)
        if kind is list:
            return [self.write(item, depth - 1) for item in value]
        if kind in _ITERABLES:
            items = [self.write(item, depth - 1) for item in value]
            return self._tag(_ITERABLES[kind], items if kind is tuple else sorted(items, key=repr))
        if issubclass(kind, enum.Enum):
            return self._enum(value, kind)
        if issubclass(kind, BaseException):
            return self._tag("$error", self._error(value))
        raise NotKept(shown(value))

    def _scalar(self, tag: str, plain: object) -> object:
        self._budget.take(len(plain) if isinstance(plain, str) else 8)
        return self._tag(tag, plain) if tag else plain

    def _tag(self, tag: str, content: object) -> dict[str, object]:
        self.tagged = True
        return {tag: content}

    def _dict(self, value: dict[object, object], depth: int) -> object:
        pairs = [
            [self.write(key, depth - 1), self.write(item, depth - 1)]
            for key, item in list(value.items())
        ]
        if all(type(key) is str and not key.startswith("$") for key, _ in pairs):
            return dict(pairs)
        return self._tag("$dict", pairs)

    def _enum(self, value: enum.Enum, kind: type) -> object:
        path, name = path_of(kind), value._name_
        if type(name) is not str or _member(path, name) is not value:
            raise NotKept(shown(value))
        return self._tag("$enum", [path, name])


class Reader:
    """Reads what `Writer` wrote; `error` reads an exception within.

    Example:
        >>> Reader(lambda _: ValueError()).read({"$tuple": [1, {"$bytes": "YQ=="}]})
        (1, b'a')
    """

    def __init__(self, error: ReadError) -> None:
        self._error = error

    def read(self, form: object) -> object:
        """The value. Raises `ValueError`, `TypeError`, `LookupError` for what was never written."""
        if isinstance(form, list):
            return [self.read(item) for item in form]
        if not isinstance(form, dict):
            return form
        tag = next(iter(form), "")
        if not tag.startswith("$"):
            return {key: self.read(item) for key, item in form.items()}
        return self._tagged(tag, form[tag])

    def _tagged(self, tag: str, content: Any) -> object:
        if tag == "$dict":
            return {self.read(key): self.read(item) for key, item in content}
        if tag == "$error":
            return self._error(content)
        if tag in _MAKERS:
            return _MAKERS[tag]([self.read(item) for item in content])
        return _READERS[tag](content)


def readable(form: object) -> object:
    """The form without its tags, for people: what JSON can say of the value.

    Example:
        >>> readable({"$tuple": [1, {"$bytes": "YQ=="}]})
        [1, 'a']
    """
    if isinstance(form, list):
        return [readable(item) for item in form]
    if not isinstance(form, dict):
        return form
    tag = next(iter(form), "")
    if not tag.startswith("$"):
        return {key: readable(item) for key, item in form.items()}
    return _readable(tag, form[tag])


def _readable(tag: str, content: Any) -> object:
    if tag == "$dict":
        return {str(readable(key)): readable(item) for key, item in content}
    if tag == "$error":
        is_failure = isinstance(content, dict)
        return f"{content.get('type')}: {content.get('message')}" if is_failure else "its cause"
    if tag in ("$bytes", "$bytearray", "$text"):
        return clean(base64.b64decode(content).decode("utf-8", "backslashreplace"))
    if tag == "$enum":
        return f"{content[0].rpartition(':')[2]}.{content[1]}"
    return readable(content)


def loaded(path: str) -> type | None:
    """The class that is loaded here under "module:qualname", found without running any code."""
    module_name, _, qualname = path.partition(":")
    module: object = sys.modules.get(module_name)
    if not issubclass(type(module), types.ModuleType):
        return None
    names: Any = vars(types.ModuleType)["__dict__"].__get__(module)
    found: Any = None
    for part in qualname.split("."):
        found = names.get(part)
        if not issubclass(type(found), type):
            return None
        names = names_in(found)
    return found  # type: ignore[no-any-return]


def _member(path: str, name: str) -> enum.Enum:
    cls = loaded(path)
    if cls is None or not issubclass(cls, enum.Enum):
        raise LookupError(path)
    member: enum.Enum = names_in(cls)["_member_map_"][name]
    return member


def _str(value: str) -> tuple[str, object]:
    if clean(value, len(value)) == value:
        return "", value
    return "$text", _base64(value.encode("utf-8", "surrogatepass"))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _datetime(value: dt.datetime) -> tuple[str, object]:
    if value.fold or type(value.tzinfo) not in (types.NoneType, dt.timezone):
        raise NotKept(shown(value))
    return "$datetime", value.isoformat()


_WRITERS: Final[dict[type, Callable[[Any], tuple[str, object]]]] = {
    str: _str,
    int: lambda value: ("", value) if -_INT_MAX <= value < _INT_MAX else ("$int", hex(value)),
    float: lambda value: ("", value) if math.isfinite(value) else ("$float", repr(value)),
    bytes: lambda v: ("$bytes", _base64(v)),
    bytearray: lambda v: ("$bytearray", _base64(v)),
    dt.datetime: _datetime,
    dt.date: lambda v: ("$date", v.isoformat()),
    dt.timedelta: lambda v: ("$timedelta", [v.days, v.seconds, v.microseconds]),
    Decimal: lambda v: ("$decimal", str(v)),
    uuid.UUID: lambda v: ("$uuid", str(v)),
    type(Path()): lambda v: ("$path", _path(v)),
    PurePosixPath: lambda v: ("$posixpath", _path(v)),
    PureWindowsPath: lambda v: ("$windowspath", _path(v)),
}
_ITERABLES: Final[dict[type, str]] = {tuple: "$tuple", set: "$set", frozenset: "$frozenset"}
_MAKERS: Final[dict[str, Callable[[list[Any]], object]]] = {
    "$tuple": tuple, "$set": set, "$frozenset": frozenset,
    "$timedelta": lambda parts: dt.timedelta(*parts),
    "$enum": lambda parts: _member(*parts),
}  # fmt: skip
_READERS: Final[dict[str, Callable[[Any], object]]] = {
    "$float": float,
    "$int": lambda text: int(text, 16),
    "$text": lambda text: base64.b64decode(text).decode("utf-8", "surrogatepass"),
    "$bytes": base64.b64decode,
    "$bytearray": lambda text: bytearray(base64.b64decode(text)),
    "$datetime": dt.datetime.fromisoformat,
    "$date": dt.date.fromisoformat,
    "$decimal": Decimal,
    "$uuid": uuid.UUID,
    "$path": Path,
    "$posixpath": PurePosixPath,
    "$windowspath": PureWindowsPath,
}


def _path(value: object) -> str:
    text = str(value)
    if clean(text, len(text)) != text:
        raise NotKept(shown(value))
    return text
