"""Signals: messages from outside to a run. Declared once, at module level, used on both sides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar, cast, final, overload

from durable.authoring.verbs import inside
from durable.codec.adapters import Adapter
from durable.protocol.limits import check_name

T = TypeVar("T")


@final
class Signal(Generic[T]):
    """A name, and the type of what is sent under it; None is sent unless a type is given.

    In the workflow `await approval.receive()` gives the next one, in order of arrival, and
    `async for decision in approval:` one after the other, without end. None is lost for coming
    early or for a timeout around the wait. On a handle: `await handle.signal(approval, payload)`.

    Attributes:
        name: what it is called in the database.
        adapter: writes and reads its payload.

    Example:
        >>> approval = Signal("approval", dict[str, int])
        >>> approval.adapter.encode({"level": 2})
        '{"level":2}'
    """

    __slots__ = ("adapter", "name")

    @overload
    def __init__(self: Signal[None], name: str) -> None: ...
    @overload
    def __init__(self, name: str, payload: type[T]) -> None: ...
    @overload
    def __init__(self: Signal[Any], name: str, payload: Any) -> None: ...

    def __init__(self, name: str, payload: Any = None) -> None:
        self.name = check_name("name", name, "Signal()")
        self.adapter = Adapter(payload, owner=f"signal {name!r}", path="payload")

    async def receive(self) -> T:
        """The next one that has not been received yet; waits for it. Only in workflow code."""
        context = inside(f"{self.name}.receive()", "a handle's `signal()` sends")
        return cast("T", await context.receive(self.name, self.adapter))

    def __aiter__(self) -> AsyncIterator[T]:
        return _Received(self)

    def __repr__(self) -> str:
        return f"Signal({self.name!r}, {self.adapter.hint!r})"


class _Received(Generic[T]):
    """Receives for as long as it is asked."""

    __slots__ = ("_signal",)

    def __init__(self, signal: Signal[T]) -> None:
        self._signal = signal

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        return await self._signal.receive()
