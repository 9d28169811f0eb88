"""Calls: what calling an activity or a workflow gives. Awaitable once, like any coroutine.

A `Call` is a real `collections.abc.Coroutine`, so `gather`, `create_task` and `TaskGroup` take it.
What awaiting it does depends on where: see `ActivityCall` and `WorkflowCall`.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import warnings
from abc import abstractmethod
from collections.abc import Coroutine, Generator, Mapping
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar, final

from durable.errors import misplaced
from durable.protocol.options import ActivityOptions, WorkflowOptions
from durable.replay.context import current
from durable.replay.definitions import ActivityDefinition, GraphDefinition, WorkflowDefinition
from durable.replay.outside_access import check_thread

R_co = TypeVar("R_co", covariant=True)


class Call(Coroutine[Any, Any, R_co]):
    """A call that has been made and not yet run.

    Attributes:
        args, kwargs: what `definition` is called with.
        kind: "activity", "workflow" or "graph".
    """

    __slots__ = (
        "__weakref__",
        "_definition",
        "_file",
        "_hash",
        "_inner",
        "_line",
        "_used",
        "args",
        "kwargs",
    )

    kind: str

    def __init__(
        self,
        definition: ActivityDefinition | WorkflowDefinition | GraphDefinition,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> None:
        self._used = True  # nothing to warn of should this raise
        self._definition: Any = definition
        self.args = args
        self.kwargs = kwargs
        self._inner: Coroutine[Any, Any, R_co] | None = None
        self._hash: int | None = None
        # Its maker is `__init__` of the subclass, called by `__call__`, called by the user.
        frame = sys._getframe(3)  # noqa: SLF001 - the only cheap way
        self._file = frame.f_code.co_filename
        self._line = frame.f_lineno
        self._bind()
        self._used = False

    def _bind(self) -> None:
        """Raise `TypeError` if what is called takes other arguments."""
        self._definition.signature.bind(self.args, self.kwargs)

    @property
    @abstractmethod
    def definition(self) -> ActivityDefinition | WorkflowDefinition | GraphDefinition:
        """What is called."""

    @property
    def site(self) -> str:
        """Where in the user's code the call was made: "file:line"."""
        return f"{self._file}:{self._line}"

    @property
    def name(self) -> str:
        """The name of what is called."""
        name: str = self._definition.name
        return name

    def take(self) -> Self:
        """This call, now counted as used, to be carried out instead of awaited.

        Raises `DurableError` if it has been used before.
        """
        if self._used:
            raise misplaced(
                f"{self._described()} has been used before: a call is awaited or started once;"
                f" write {self.name}(…) again for another"
            )
        self._used = True
        return self

    def send(self, value: Any) -> Any:
        """Run to the next suspension, as coroutines do."""
        return self._running().send(value)

    def throw(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
    ) -> Any:
        """Raise where the call waits, as coroutines do."""
        inner = self._running()
        # The form with three arguments is deprecated in Python, yet part of the protocol.
        if val is None and tb is None:
            return inner.throw(typ)
        return inner.throw(typ, val, tb)  # type: ignore[arg-type]

    def close(self) -> None:
        """Give the call up."""
        self._used = True
        if self._inner is not None:
            self._inner.close()

    def __await__(self) -> Generator[Any, Any, R_co]:
        self.take()
        self._inner = self._run()
        return self._inner.__await__()

    def __hash__(self) -> int:
        """The same in every process, since sets of calls are walked in the order of hashes."""
        if self._hash is None:
            context = current()
            self._hash = object.__hash__(self) if context is None else context.call_number()
        return self._hash

    def __repr__(self) -> str:
        return f"<{self._described()}>"

    def __del__(self) -> None:
        if not self._used:
            warnings.warn_explicit(
                f"{self.kind} call {self.name}(…) was never awaited",
                RuntimeWarning,
                self._file,
                self._line,
                source=self,
            )

    # Named as on native coroutines, so that stacks and the places of tasks can be shown.

    @property
    def __name__(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.name

    @property
    def cr_frame(self) -> FrameType | None:
        """The frame that is suspended, if the call has begun and not ended."""
        return getattr(self._inner, "cr_frame", None)

    @property
    def cr_await(self) -> Any:
        """What the call waits for."""
        return getattr(self._inner, "cr_await", None)

    @property
    def cr_running(self) -> bool:
        """Whether the call is being run right now."""
        return bool(getattr(self._inner, "cr_running", False))

    @abstractmethod
    async def _run(self) -> R_co:
        """Carry the call out, here and now."""

    def _running(self) -> Coroutine[Any, Any, R_co]:
        inner = self._inner
        if inner is None or inspect.getcoroutinestate(inner) == inspect.CORO_CLOSED:
            self.take()
            inner = self._inner = self._run()
        return inner

    def _described(self) -> str:
        return f"{self.kind} call {self.name}(…) made at {self.site}"


@final
class ActivityCall(Call[R_co]):
    """A call of an activity.

    Awaited in a workflow it is scheduled, and gives what the activity returned, or raises
    `ActivityFailed`. Awaited elsewhere it runs the function, a plain one on a thread, so that
    activities can be tested and used as functions; arguments are checked there too. A thread that
    workflow code started is neither: there it is refused, and the run fails.
    """

    __slots__ = ()

    kind = "activity"

    def __init__(
        self, definition: ActivityDefinition, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> None:
        super().__init__(definition, args, kwargs)

    @property
    def definition(self) -> ActivityDefinition:
        """The activity."""
        found: ActivityDefinition = self._definition
        return found

    @property
    def options(self) -> ActivityOptions:
        """The options in force for this call."""
        return self.definition.options

    async def _run(self) -> R_co:
        definition = self.definition
        context = current()
        if context is not None:
            outcome = context.activity(definition, self.args, self.kwargs, definition.options)
            result: R_co = await outcome
            return result
        check_thread(self._described())
        definition.signature.encode_arguments(self.args, self.kwargs)
        if definition.is_async:
            result = await definition.fn(*self.args, **self.kwargs)
        else:
            result = await asyncio.to_thread(definition.fn, *self.args, **self.kwargs)
        return result


@final
class WorkflowCall(Call[R_co]):
    """A call of a workflow.

    Awaited in a workflow it runs a child, and gives its result, or raises `ChildFailed`. Elsewhere
    it is passed to `client.start(…)`; awaiting it there raises, since nothing would be durable.
    """

    __slots__ = ("id",)

    kind = "workflow"

    def __init__(
        self,
        definition: WorkflowDefinition,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        id: str | None = None,  # noqa: A002 - the word users know
    ) -> None:
        self.id = id
        super().__init__(definition, args, kwargs)

    @property
    def definition(self) -> WorkflowDefinition:
        """The workflow."""
        found: WorkflowDefinition = self._definition
        return found

    @property
    def options(self) -> WorkflowOptions:
        """The options in force for this call."""
        return self.definition.options

    async def _run(self) -> R_co:
        context = current()
        if context is None:
            raise misplaced(
                f"{self._described()} was awaited outside of a workflow, where it would not"
                f" be durable: write `await client.start({self.name}(…), id=…)`"
            )
        definition = self.definition
        result: R_co = await context.child(
            definition, self.args, self.kwargs, definition.options, self.id
        )
        return result
