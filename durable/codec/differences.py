"""What is not the same about a value that went through JSON and came back.

Stricter than `==`: `True`, `1` and `1.0` differ, so do `-0.0` and `0.0`, `Decimal("1.0")` and
`Decimal("1.00")`, a class and its subclass; NaN equals itself. Four things are let through: an
int where a float is declared, if no digit is lost; a subclass of `UUID` (database drivers have
their own); numbers, texts and times of numpy and pandas that are equal to builtin ones; and what a
`functools.cached_property` has computed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import math
import reprlib
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import TzInfo

from durable.codec.scalars import builtin_of

ADVICE = "; pass value"
"""How a finding says what to do where no other annotation would help."""

_MISSING = object()
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def shown(value: object) -> str:
    """The value for a message: short, with its type.

    Example:
        >>> shown((1, 2))
        '(1, 2) (tuple)'
    """
    return f"{_SHORT.repr(value)} ({type(value).__name__})"


def difference(sent: object, back: object, path: str = "") -> str | None:
    """What differs, with its path, or None if nothing does.

    Args:
        sent: the value that was written.
        back: the value that was read.
        path: where they are, as "order.lines[0]".

    Example:
        >>> difference({"a": [1, True]}, {"a": [1, 1]}, "order")
        "at order['a'][1]: True (bool) would come back as 1 (int)"
    """
    if type(sent) is not type(back):
        return None if _stands_for(sent, back) else _changed(sent, back, path)
    for kind, compare in _BY_KIND:
        if isinstance(sent, kind):
            return compare(sent, back, path)
    return _objects(sent, back, path)


def _changed(sent: object, back: object, path: str, why: str = "") -> str:
    where = f"at {path}: " if path else ""
    if isinstance(sent, SecretStr | SecretBytes):
        why = f": a secret is written masked{ADVICE}.get_secret_value(), or the key that finds it"
    return f"{where}{shown(sent)} would come back as {shown(back)}{why}"


def _stands_for(sent: object, back: object) -> bool:
    if type(sent) is int and type(back) is float:
        return bool(sent == back)  # Python compares these two exactly
    if isinstance(sent, uuid.UUID) and isinstance(back, uuid.UUID):
        return sent == back
    scalar = builtin_of(sent)
    return scalar is not None and type(scalar) is type(back) and difference(scalar, back) is None


def _scalars(sent: object, back: object, path: str) -> str | None:
    return None if sent == back else _changed(sent, back, path)


def _enums(sent: object, back: object, path: str) -> str | None:
    return None if sent is back else _changed(sent, back, path)


def _floats(sent: float, back: float, path: str) -> str | None:
    if math.isnan(sent) and math.isnan(back):
        return None
    same = sent == back and math.copysign(1, sent) == math.copysign(1, back)
    return None if same else _changed(sent, back, path)


def _decimals(sent: Decimal, back: Decimal, path: str) -> str | None:
    return None if sent.as_tuple() == back.as_tuple() else _changed(sent, back, path)


def _times(sent: Any, back: Any, path: str) -> str | None:
    same = sent.replace(tzinfo=None) == back.replace(tzinfo=None)
    if same and sent.fold != back.fold:
        why = f": JSON has no `fold`{ADVICE}.astimezone(datetime.UTC)"
        return _changed(sent, back, path, why)
    if not same or sent.utcoffset() != back.utcoffset():
        return _changed(sent, back, path)
    zone = sent.tzinfo
    if zone is None or isinstance(zone, (dt.timezone, TzInfo)) or _is_utc(zone):
        return None
    why = (
        f": JSON keeps the offset and loses the time zone{ADVICE}.astimezone(datetime.UTC), and the"
        " zone's name beside it"
    )
    return _changed(sent, back, path, why)


def _is_utc(zone: dt.tzinfo) -> bool:
    return getattr(zone, "key", None) in ("UTC", "Etc/UTC")


def _sequences(sent: Any, back: Any, path: str) -> str | None:
    if len(sent) != len(back) or _bound_of(sent) != _bound_of(back):
        return _changed(sent, back, path)
    for index, (one, other) in enumerate(zip(sent, back, strict=True)):
        found = difference(one, other, f"{path}[{index}]")
        if found:
            return found
    return _attributes(sent, back, path)


def _bound_of(sequence: object) -> int | None:
    return sequence.maxlen if isinstance(sequence, deque) else None


def _sets(sent: Any, back: Any, path: str) -> str | None:
    if sent != back:
        return _changed(sent, back, path)
    # Equal sets may hold 1 for True: look at what each element has become.
    twins = {item: item for item in back}
    for item in sent:
        found = difference(item, twins[item], f"{path}{{…}}")
        if found:
            return found
    return _attributes(sent, back, path)


def _mappings(sent: Any, back: Any, path: str) -> str | None:
    if sent.keys() != back.keys():
        return _changed(sent, back, path)
    # JSON keeps the order; only a typed dict comes back in the order in which it is declared.
    twins = {key: key for key in back}
    for key, item in sent.items():
        found = difference(key, twins[key], f"{path} key")
        found = found or difference(item, back[key], f"{path}[{key!r}]" if path else str(key))
        if found:
            return found
    return _attributes(sent, back, path)


def _models(sent: BaseModel, back: BaseModel, path: str) -> str | None:
    for name in ("__pydantic_extra__", "__pydantic_private__"):
        found = difference(getattr(sent, name) or {}, getattr(back, name) or {}, path)
        if found:
            return found
    return _attributes(sent, back, path)


def _objects(sent: object, back: object, path: str) -> str | None:
    """Anything else: by its attributes; by its own `==` where it has none or is not a dataclass."""
    if not dataclasses.is_dataclass(sent) and "__eq__" in _defined(type(sent)):
        return None if sent == back else _changed(sent, back, path)
    if not any(True for _ in _state(sent)) and not dataclasses.is_dataclass(sent):
        return None if sent is back else _changed(sent, back, path)
    return _attributes(sent, back, path)


def _defined(cls: type) -> set[str]:
    """Names that the class or a base of it defines, `object` left out."""
    return {name for base in cls.__mro__[:-1] for name in vars(base)}


def _attributes(sent: object, back: object, path: str) -> str | None:
    one, other = dict(_state(sent)), dict(_state(back))
    for name in one.keys() | other.keys():
        if name not in other:
            lost = shown(one[name])
            return f"at {path}.{name}: {lost} is not a field of its type: it would be lost"
        given = one[name] if name in one else getattr(sent, name, _MISSING)  # a class's default
        found = difference(given, other[name], f"{path}.{name}")
        if found:
            return _set_by_class(sent, name, other[name], path) or found
    return None


def _set_by_class(sent: object, name: str, back: object, path: str) -> str | None:
    """What is wrong where a class sets a field by itself, and to something else."""
    fields = dataclasses.fields(sent) if dataclasses.is_dataclass(sent) else ()
    if all(field.init or field.name != name for field in fields):
        return None
    return (
        f"at {path}.{name}: it is field(init=False), so its class sets it again when the value is"
        f" read, to {shown(back)}{ADVICE}s to fields that __init__ takes"
    )


def _state(value: object) -> Iterable[tuple[str, object]]:
    cls = type(value)
    for name, item in getattr(value, "__dict__", {}).items():
        if not isinstance(getattr(cls, name, None), functools.cached_property):
            yield name, item
    for base in cls.__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            # What pydantic keeps there is compared in `_models`; but for which fields were given.
            if not name.startswith("__") and hasattr(value, name):
                yield name, getattr(value, name)


_Compare = Callable[[Any, Any, str], str | None]
_BY_KIND: tuple[tuple[Any, _Compare], ...] = (
    (enum.Enum, _enums),
    (float, _floats),
    ((str, int, bytes, type(None), type), _scalars),
    (Decimal, _decimals),
    ((dt.datetime, dt.time), _times),
    (BaseModel, _models),
    ((list, tuple, deque), _sequences),
    ((set, frozenset), _sets),
    (Mapping, _mappings),
)
