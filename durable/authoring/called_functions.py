"""Which activities and workflows a workflow's code calls, as far as it names them outright.

Only what a name, or a chain of attributes that begins with one, leads to for certain: what is
looked up in a dict or handed over is not found. Helpers of the user's own are read as well.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator, Mapping
from types import FunctionType

from durable.authoring.declared_signals import codes_of, is_library
from durable.replay.definitions import ActivityDefinition, WorkflowDefinition

Called = ActivityDefinition | WorkflowDefinition

_READ_MAX = 1_000  # functions
_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})


def called_by(fn: FunctionType) -> tuple[Called, ...]:
    """The definitions that the code of a function names, in no order that means anything.

    Example:
        >>> from durable import activity
        >>> @activity
        ... async def charge(order: str) -> None: ...
        >>> async def fulfil(order: str) -> None:
        ...     await charge(order)
        >>> [definition.name for definition in called_by(fulfil)]
        ['charge']
    """
    found: dict[int, Called] = {}
    seen: set[int] = set()
    waiting = [fn]
    while waiting and len(seen) < _READ_MAX:
        function = waiting.pop()
        if id(function) in seen or is_library(function.__code__):
            continue
        seen.add(id(function))
        for value in _named(function):
            if (definition := _definition(value)) is not None:
                found[id(definition)] = definition
            elif isinstance(value, FunctionType):
                waiting.append(value)
    return tuple(found.values())


def _named(fn: FunctionType) -> Iterator[object]:
    """What the names in a function's code stand for."""
    names: dict[str, Mapping[str, object]] = {
        "LOAD_GLOBAL": fn.__globals__,
        "LOAD_DEREF": _cells(fn),
    }
    for code in codes_of(fn.__code__):
        value: object = None
        for step in dis.get_instructions(code):
            if step.opname in _ATTRIBUTE and value is not None:
                if _definition(value) is None:  # what follows one is `.options` and the like
                    value = _held(value).get(step.argval)
                continue
            if value is not None:
                yield value
            known = names.get(step.opname)
            value = None if known is None else known.get(step.argval)


def _definition(value: object) -> Called | None:
    found = _held(value).get("definition")
    return found if isinstance(found, (ActivityDefinition, WorkflowDefinition)) else None


def _held(value: object) -> Mapping[str, object]:
    """The attributes that lie in an object: no code of its own is run for one."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _cells(fn: FunctionType) -> Mapping[str, object]:
    found: dict[str, object] = {}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    return found
