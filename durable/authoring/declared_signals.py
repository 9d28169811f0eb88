"""Which signals a workflow's code refers to, found by reading the code and what its names mean.

Helpers of the user's own are read too, as far as names lead to them. Where signals could be reached
in ways that reading does not show, the list says that it may lack some.
"""

from __future__ import annotations

import dis
import site
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from durable.authoring.signals import Signal
from durable.codec.adapters import Adapter
from durable.replay.definitions import DeclaredSignals

VISITED_MAX = 5_000  # objects; code that refers to more is not read to the end
_ELEMENTS_MAX = 1_000  # of one container
_INDIRECT = frozenset({"getattr", "globals", "locals", "vars", "eval", "exec", "__import__"})
_LIBRARIES = tuple({
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    *site.getsitepackages(),
})  # fmt: skip


def declared_signals(fn: FunctionType) -> DeclaredSignals:
    """The signals that a function can come to by the names in its code.

    Example:
        >>> approval = Signal("approval", int)
        >>> async def fulfil() -> int:
        ...     return await approval.receive()
        >>> found = declared_signals(fulfil)
        >>> sorted(found.adapters), found.complete
        (['approval'], True)
    """
    reading = _Reading()
    reading.follow(fn)
    return DeclaredSignals(reading.adapters, reading.complete)


class _Reading:
    """Goes from one object to those that it names."""

    def __init__(self) -> None:
        self.adapters: dict[str, Adapter] = {}
        self.complete = True
        self._seen: set[tuple[int, frozenset[str]]] = set()
        self._kept: list[object] = []  # so that no id is used again meanwhile

    def follow(self, start: object) -> None:
        """Read on until nothing new is named."""
        waiting: list[tuple[object, frozenset[str]]] = [(start, frozenset())]
        while waiting:
            found, names = waiting.pop()
            if (id(found), names) in self._seen:
                continue
            self._seen.add((id(found), names))
            self._kept.append(found)
            if len(self._kept) > VISITED_MAX:
                self.complete = False
                return
            if isinstance(found, FunctionType):
                waiting.extend(self._of_function(found))
            elif isinstance(found, Signal):
                self._note(found)
            elif found is Signal:
                self.complete = False  # signals are made as it goes
            else:
                waiting.extend((value, names) for value in _within(found, names))

    def _note(self, signal: Signal[Any]) -> None:
        known = self.adapters.setdefault(signal.name, signal.adapter)
        if known.hint != signal.adapter.hint:  # of two types: whichever the code receives by
            self.adapters[signal.name] = Adapter(Any, path="payload")

    def _of_function(self, fn: FunctionType) -> Iterator[tuple[object, frozenset[str]]]:
        if is_library(fn.__code__):
            return
        names: set[str] = set()
        for code in codes_of(fn.__code__):
            names.update(code.co_names)
            if any(step.opname == "IMPORT_NAME" for step in dis.get_instructions(code)):
                self.complete = False
        if names & _INDIRECT:
            self.complete = False
        frozen = frozenset(names)
        for name in names & fn.__globals__.keys():
            yield fn.__globals__[name], frozen
        for value in (*(fn.__defaults__ or ()), *(fn.__kwdefaults__ or {}).values()):
            yield value, frozen
        for cell in fn.__closure__ or ():
            try:
                yield cell.cell_contents, frozen
            except ValueError:  # not filled yet
                self.complete = False


def _within(found: object, names: frozenset[str]) -> Iterable[object]:
    """What an object that is not a function leads to; of a module, what the code names."""
    if isinstance(found, MethodType):
        return [found.__func__, found.__self__]
    if isinstance(found, ModuleType):
        return [value for name, value in vars(found).items() if name in names]
    if isinstance(found, (Mapping, list, tuple, set, frozenset)):
        return islice(found.values() if isinstance(found, Mapping) else found, _ELEMENTS_MAX)
    if isinstance(found, type):
        return [v for v in vars(found).values() if isinstance(v, (FunctionType, Signal))]
    if hasattr(found, "__dict__") and not hasattr(found, "definition"):
        return [*(v for v in vars(found).values() if isinstance(v, Signal)), type(found)]
    return ()


def codes_of(code: CodeType) -> Iterator[CodeType]:
    """The code of a function, and of those within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_of(constant)


def is_library(code: CodeType) -> bool:
    """Whether it is Python's own or an installed package's, which cannot know a user's signals."""
    return code.co_filename.startswith((*_LIBRARIES, _OURS, "<frozen"))


_OURS = __file__.removesuffix("authoring/declared_signals.py")
