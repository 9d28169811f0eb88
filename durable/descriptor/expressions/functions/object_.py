"""`@object`: objects. What JavaScript would change is copied; nothing else sees a change."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from durable.descriptor.expressions import units
from durable.descriptor.expressions.functions.arguments import (
    Arguments,
    Function,
    Refusal,
    describe,
)
from durable.descriptor.expressions.functions.object_integrity import (
    Shielded,
    check_write,
    restricted,
    shielded,
)
from durable.descriptor.expressions.paths import property_of
from durable.descriptor.expressions.values import UNDEFINED, to_text, truthy

_LONGEST_INDEX = 10  # digits
_INDEX_BELOW = 2**32 - 1  # such keys come first, in order, wherever they were added


def _own(value: object) -> dict[str, object]:
    """The own properties in JavaScript's order: indices first, then as they were added."""
    if isinstance(value, (list, tuple)):
        return {str(index): item for index, item in enumerate(value)}
    if isinstance(value, str):
        return {str(i): units.cut(value, i, i + 1) for i in range(units.length(value))}
    if not isinstance(value, dict):
        return {}
    indices = sorted((name for name in value if _is_index(name)), key=int)
    if not indices:
        return value
    return {name: value[name] for name in [*indices, *(n for n in value if not _is_index(n))]}


def _is_index(name: str) -> bool:
    if len(name) > _LONGEST_INDEX:
        return False
    return name.isascii() and name.isdigit() and str(int(name)) == name and int(name) < _INDEX_BELOW


def enumerable(value: object) -> dict[str, object]:
    """The own properties that a loop over the value would see, in JavaScript's order."""
    hidden = value.hidden if isinstance(value, Shielded) else frozenset()
    return {name: item for name, item in _own(value).items() if name not in hidden}


def _object(value: object) -> dict[str, object]:
    if isinstance(value, dict):
        return value
    raise Refusal(f"it works on an object, not on {describe(value)}")


def _write(target: dict[str, object], name: str, value: object) -> None:
    check_write(target, name)
    if value is UNDEFINED:  # an object holds no undefined: JSON could not write it
        target.pop(name, None)
    else:
        target[name] = value


def _set(args: Arguments) -> object:
    target = shielded(_object(args[0]) if truthy(args[0]) else {})
    _write(target, args.text(1), args[2])
    return target


def _create(args: Arguments) -> dict[str, object]:
    result: dict[str, object] = {}
    for place in range(0, len(args), 2):
        _write(result, args.text(place), args[place + 1])
    return result


def _from_entries(args: Arguments) -> dict[str, object]:
    result: dict[str, object] = {}
    for pair in args.own_array():
        if not isinstance(pair, (list, tuple, dict)):
            raise Refusal(f"each entry is a pair [name, value], not {describe(pair)}")
        _write(result, to_text(property_of(pair, "0")), property_of(pair, "1"))
    return result


def _assign(args: Arguments) -> object:
    target = shielded(_object(args[0]) if truthy(args[0]) else {})
    for source in args.values[1:]:
        for name, value in enumerable(source).items():
            _write(target, name, value)
    return target


def _names(args: Arguments) -> list[object]:
    names: list[object] = [*_own(args[0])]
    return [*names, "length"] if isinstance(args[0], (list, tuple, str)) and args[0] else names


def _descriptor(args: Arguments) -> object:
    value, name = args[0], args.text(1)
    own = _own(value)
    if name not in own:
        return UNDEFINED
    marks = value if isinstance(value, Shielded) else Shielded()
    return {
        "value": own[name],
        "writable": name not in marks.locked,
        "enumerable": name not in marks.hidden,
        "configurable": name not in marks.fixed,
    }


def _define(target: Shielded, name: str, descriptor: object) -> Shielded:
    """As HotMesh documents, what a descriptor leaves out is allowed, not forbidden."""
    described = _object(descriptor)
    if name in target.fixed:
        raise Refusal(f"the property {name!r} cannot be redefined")
    check_write(target, name)
    target[name] = described.get("value")
    for mark, key in (("hidden", "enumerable"), ("locked", "writable"), ("fixed", "configurable")):
        names: frozenset[str] = getattr(target, mark) - {name}
        setattr(target, mark, names if truthy(described.get(key, True)) else names | {name})
    return target


def _define_properties(args: Arguments) -> object:
    target = shielded(_object(args[0]))
    for name, descriptor in _object(args[1]).items():
        _define(target, name, descriptor)
    return target


def _freeze(args: Arguments) -> object:
    value = args[0]
    return restricted(value, fixed=value, locked=value) if isinstance(value, dict) else value


def _seal(args: Arguments) -> object:
    value = args[0]
    return restricted(value, fixed=value) if isinstance(value, dict) else value


def _prevent_extensions(args: Arguments) -> object:
    value = args[0]
    return restricted(value) if isinstance(value, dict) else value


def _is_extensible(args: Arguments) -> bool:
    value = args[0]
    return (
        value.extensible if isinstance(value, Shielded) else isinstance(value, (dict, list, tuple))
    )


def _is_sealed(args: Arguments) -> bool:
    """JavaScript calls what is not an object sealed, and frozen too."""
    value = args[0]
    if _is_extensible(args):
        return False
    return not isinstance(value, Shielded) or value.fixed.issuperset(value)


def _is_frozen(args: Arguments) -> bool:
    value = args[0]
    return _is_sealed(args) and (not isinstance(value, Shielded) or value.locked.issuperset(value))


def _has(args: Arguments) -> bool:
    if args.text(1) == "length":
        return "length" in _own(args[0]) or isinstance(args[0], (list, tuple, str))
    return args.text(1) in _own(args[0])


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "get": lambda args: property_of(args[0], args.text(1)),
        "set": _set,
        "create": _create,
        "keys": lambda args: list(enumerable(args[0])),
        "values": lambda args: list(enumerable(args[0]).values()),
        "entries": lambda args: [[name, value] for name, value in enumerable(args[0]).items()],
        "fromEntries": _from_entries,
        "assign": _assign,
        "getOwnPropertyNames": _names,
        "getOwnPropertySymbols": lambda _args: [],  # JSON has no symbols
        "getOwnPropertyDescriptor": _descriptor,
        "defineProperty": lambda args: _define(shielded(_object(args[0])), args.text(1), args[2]),
        "defineProperties": _define_properties,
        "freeze": _freeze,
        "isFrozen": _is_frozen,
        "seal": _seal,
        "isSealed": _is_sealed,
        "preventExtensions": _prevent_extensions,
        "isExtensible": _is_extensible,
        "hasOwnProperty": _has,
        "isPrototypeOf": lambda _args: False,  # JSON has no prototypes
        "propertyIsEnumerable": lambda args: args.text(1) in enumerable(args[0]),
    }
)
