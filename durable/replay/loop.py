"""An asyncio event loop that only moves when it is told to.

It has a line of ready callbacks, no clock, no selector, no threads. Its time is the time of the
run's last fact and stands still during a drain. A callback for later is a timer of the history.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable
from threading import get_ident
from types import AsyncGeneratorType, TracebackType
from typing import Any, TypeVar

from durable.errors import NotDurableError, PayloadError
from durable.protocol.commands import StartTimer
from durable.replay.call_sites import Site, call_site, text
from durable.replay.guards import NoOutside, check_task_order, check_wait_order
from durable.replay.outside_access import OutsideAccess, access_by, check_wrapped, follow_threads
from durable.replay.steps import Steps, StepTimer
from durable.replay.tasks import Gone, RunFuture, RunTask, keys_of
from durable.replay.unresponsive_tasks import close_unresponsive
from durable.runtime.interrupts import is_interrupt
from durable.telemetry.logs import logger

CALLBACKS_MAX = 100_000  # of one drain; a gather of 10,000 activities takes about 20,000
ENDING_MAX = 1000  # of a drain at an eviction, and 20 a task: more is a loop that ignores its end
GENERATORS_SWEPT = 64  # finished ones are looked for each time so many have begun
_DUE_MAX = 253_402_300_799.0  # the last second of the year 9999: what comes later never comes

_NUMBERED = (RunFuture, RunTask)

T = TypeVar("T")
Variables = contextvars.Context | None


class Drains:
    """Whose code runs now on the loop of a worker: for the thread that watches it.

    Attributes:
        run_id: the run's; 0 between drains.
        label: who it is, for people.
        count: of drains until now.
    """

    __slots__ = ("count", "label", "run_id")

    def __init__(self) -> None:
        self.run_id = 0
        self.label = ""
        self.count = 0


class _Turn:
    """A turn of a run's loop. A class: `contextmanager` would cost as much as the turn itself."""

    __slots__ = ("_hooks", "_loop", "_outer")

    def __init__(self, loop: ReplayLoop) -> None:
        self._loop = loop

    def __enter__(self) -> None:
        self._outer = asyncio._get_running_loop()  # noqa: SLF001 - the documented way for loops
        self._hooks = sys.get_asyncgen_hooks()
        asyncio._set_running_loop(self._loop)  # noqa: SLF001
        self._loop.begin_turn()

    def __exit__(self, *_: object) -> None:
        self._loop.end_turn()
        sys.set_asyncgen_hooks(*self._hooks)
        asyncio._set_running_loop(self._outer)  # noqa: SLF001


class ReplayLoop(NoOutside):
    """The loop of one run. `label` names the run in messages.

    Attributes:
        now: Unix seconds of the last fact.
        tasks: the live tasks in order of creation (strongly held: asyncio holds them weakly).
        context: what `durable.replay.context.current()` finds; set by the run.
        variables: the run's own context variables, nobody else's.
        outside_access: who reached into the run from outside of its turn, the first one.
        unreadable: why a signal that had been received cannot be read at replay.
        on_outside_access: called then, on whatever thread.
        replaying: silences reports of unhandled exceptions.
        drains: where it notes that its code runs, and as which run.
        of_workflow: what tells it from other loops, to whom cannot import this room.
    """

    of_workflow = True

    def __init__(
        self, steps: Steps, seed: int, label: str, callbacks_max: int = CALLBACKS_MAX
    ) -> None:
        self.now = 0.0
        self.context: Any = None
        self.replaying = False
        self.outside_access: OutsideAccess | None = None
        self.unreadable: PayloadError | None = None
        self.on_outside_access: Callable[[], None] = lambda: None
        self.tasks: dict[int, RunTask] = {}
        self.variables = contextvars.Context()
        follow_threads(self.variables, self)
        self.drains: Drains | None = None
        self.run_id = 0
        self._label = label
        self._steps = steps
        self._callbacks_max = callbacks_max
        self._ready: deque[asyncio.Handle] = deque()
        self._watches: list[tuple[Callable[[], bool], RunFuture, contextvars.Context]] = []
        self._generators: dict[int, AsyncGeneratorType[object, object]] = {}
        self._task_key, self._future_key = keys_of(seed)
        self._tasks_made = 0
        self._thread = 0  # that of the turn; 0 outside of one
        self._home = 0  # that of the last turn
        self._gone = False
        self._eager = False
        self._handler: Callable[[object, dict[str, object]], object] | None = None

    # --- what the run does -------------------------------------------------------------------

    def turn(self) -> _Turn:
        """Be this thread's running loop within the block, and give the place back."""
        return _Turn(self)

    def begin_turn(self) -> None:
        """See `turn`."""
        sys.set_asyncgen_hooks(self._generator_begins, _generator_dropped)
        self._thread = self._home = get_ident()
        if (drains := self.drains) is not None:
            drains.count += 1
            drains.label, drains.run_id = self._label, self.run_id

    def end_turn(self) -> None:
        """See `turn`."""
        self._thread = 0
        if self.drains is not None:
            self.drains.run_id = 0

    def drain(self) -> None:
        """Run callbacks until nothing is ready, within a turn.

        Raises `NotDurableError` when that takes more than the limit: the code never waits.
        """
        ready, left = self._ready, self._callbacks_max
        while True:
            while ready:
                if left == 0:
                    raise self._endless()
                left -= 1
                handle = ready.popleft()
                if not handle.cancelled():
                    try:
                        handle._run()  # noqa: SLF001 - every event loop calls it
                    except (SystemExit, KeyboardInterrupt) as error:
                        if is_interrupt(error):
                            raise
                        # Else its task holds it too, and fails with it.
                del handle  # a traceback holds this frame, and what it names, with it
            if not self._watch():
                return

    def _endless(self) -> NotDurableError:
        return NotDurableError(
            f"{self._label} went through {self._callbacks_max:,} callbacks without waiting for"
            " anything: a loop such as `while True: await asyncio.sleep(0)` never ends;"
            " await an activity, a signal or a longer sleep in it"
        )

    @property
    def is_disturbed(self) -> bool:
        """Whether something is ready outside of a turn: somebody woke it who should not."""
        return bool(self._ready)

    def look(self, reader: Callable[[], T]) -> T:
        """What `reader` returns, called as if by workflow code that may change nothing.

        Raises `NotDurableError` if it issues a command, or wakes anything (then it is too late: the
        run is of no use any more).
        """
        with self.turn(), self._steps.freeze("a query"):
            found = self.variables.copy().run(reader)
        if self.is_disturbed:
            raise NotDurableError(
                f"a query of {self._label} started or woke a task: it must only look"
            )
        return found

    def watch(self, predicate: Callable[[], bool]) -> RunFuture:
        """A future that is settled when `predicate` is true at the end of a drain."""
        future = self.create_future()
        self._watches.append((predicate, future, contextvars.copy_context()))
        return future

    def _watch(self) -> bool:
        """Settle the first watch that holds, so that it still holds when its waiter goes on."""
        if not self._watches:
            return False
        self._watches = [watch for watch in self._watches if not watch[1].done()]
        with self._steps.freeze("the predicate of wait_until()"):
            for predicate, future, context in self._watches:
                try:
                    if context.run(predicate):
                        future.set_result(None)
                        return True
                except StopIteration as exc:  # which futures refuse, as generators do
                    future.set_exception(_no_stop(exc))
                    return True
                except BaseException as exc:  # it belongs to who waits
                    if is_interrupt(exc):
                        raise
                    future.set_exception(exc)
                    return True
        return False

    def wind_up(self, main: RunTask) -> None:
        """End what `main` left running, as `asyncio.run` does: cancel, drain, report."""
        self._steps.shut()
        left = [task for task in self.tasks.values() if task is not main]
        for task in left:
            task.cancel()
        self._drain_quietly()
        for task in left:
            if task.done() and not task.cancelled() and task.exception() is not None:
                what = "unhandled exception while the workflow ended"
                found = {"message": what, "exception": task.exception(), "task": task}
                self.call_exception_handler(found)
        self._close_generators()
        self._drain_quietly()

    def evict(self) -> None:
        """Take down every task; nothing that user code does meanwhile has an effect."""
        self._steps.shut()
        self.replaying = self._gone = True
        self._callbacks_max = min(self._callbacks_max, ENDING_MAX + 20 * len(self.tasks))
        with self.turn():
            for _ in range(3):  # a `finally` that waits again gets a second and a third cancel
                self._cancel_all()
                self._drain_quietly()
            self._close_generators()
            self._drain_quietly()
            while self.tasks:  # one that is put down may begin others
                close_unresponsive(self.tasks.pop(next(iter(self.tasks))), self._label)
        self.tasks.clear()
        self._ready.clear()
        self._watches.clear()
        self._generators.clear()
        self.context = None

    def _cancel_all(self) -> None:
        for task in list(self.tasks.values()):
            task.cancel()

    def _drain_quietly(self) -> None:
        if not (self._ready or self._watches):
            return
        try:
            self.drain()
        except NotDurableError:
            self._ready.clear()

    def _close_generators(self) -> None:
        generators, self._generators = list(self._generators.values()), {}
        for generator in generators:
            if generator.ag_frame is not None and not generator.ag_running:
                self.create_task(_aclose(generator), context=self.variables)

    def _generator_begins(self, generator: AsyncGenerator[object, object]) -> None:
        # Held until the end: otherwise the garbage collector would choose when its `finally` runs.
        assert isinstance(generator, AsyncGeneratorType)  # noqa: S101 - by the hook's contract
        self._generators[id(generator)] = generator
        if len(self._generators) % GENERATORS_SWEPT == 0:
            self._generators = {k: g for k, g in self._generators.items() if g.ag_frame is not None}

    # --- what asyncio calls ------------------------------------------------------------------

    def is_own_turn(self) -> bool:
        """Whether it is the run's own code that asks."""
        return self._thread == get_ident()

    def reached(self, access: OutsideAccess) -> None:
        """Somebody else reached into the run: it is ended, by an error where it awaits.

        Raises `NotDurableError` unless that was another thread: who does it on the run's own is
        told too. Runs of earlier versions wait on, as they did then.
        """
        ends = self.context is not None and self.context.is_seeded
        if ends and self.outside_access is None:
            self.outside_access = access
            self.on_outside_access()
        if get_ident() != self._home and (ends or self._gone):
            return
        raise NotDurableError(
            f"{self._label} was touched from outside of its turn (a future or queue of a"
            " workflow, used by other code): send it a signal instead"
        )

    def call_soon(  # type: ignore[override]  # typeshed binds args to the callback
        self, callback: Callable[..., object], *args: Any, context: Variables = None
    ) -> asyncio.Handle:
        """Run `callback` in this drain."""
        handle = asyncio.Handle(callback, args, self, context)
        if self._thread != get_ident():
            self.reached(access_by("loop.call_soon()", callback, args, self))
            return handle  # never run
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]  # as above
        self, callback: Callable[..., object], *args: Any, context: Variables = None
    ) -> asyncio.Handle:
        """As `call_soon`; from another thread it ends the run, by an error where that awaits."""
        if asyncio._get_running_loop() is not self:  # noqa: SLF001
            seeded = self.context is not None and self.context.is_seeded
            if seeded or self._gone:
                self.reached(access_by("loop.call_soon_threadsafe()", callback, args, self))
                return asyncio.Handle(callback, args, self, context)  # never run
            raise NotDurableError(
                "loop.call_soon_threadsafe() / asyncio.run_coroutine_threadsafe() from another"
                " thread cannot be replayed: do it in an activity, or send a signal"
            )
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]  # as above
        self, delay: float, callback: Callable[..., object], *args: Any, context: Variables = None
    ) -> asyncio.TimerHandle:
        """Run `callback` after `delay` seconds: a durable timer, unless that is now."""
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # as above
        self, when: float, callback: Callable[..., object], *args: Any, context: Variables = None
    ) -> asyncio.TimerHandle:
        """Run `callback` at `when` (Unix seconds): a durable timer, unless that has come."""
        if self._thread != get_ident():
            self.reached(access_by("loop.call_at()", callback, args, self))
            return StepTimer(when, callback, args, self, context)  # never run
        if when != when:  # noqa: PLR0124 - the test for NaN
            raise ValueError("a timer cannot be due at NaN")
        timer = StepTimer(when, callback, args, self, context)
        timer.number = 0
        if when <= self.now:
            self._ready.append(timer)
        elif when <= _DUE_MAX:
            number = self._steps.next_number()
            self._steps.start(StartTimer(number, when, text(self.site())), timer)
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self._steps.abandon(handle.number)  # type: ignore[attr-defined]  # all of them are ours

    def fire(self, timer: StepTimer) -> None:
        """The timer's fact has come."""
        self._ready.append(timer)

    def site(self) -> Site:
        """Where in user code we are; the creation of the task where it is a bare call."""
        found = call_site(3)
        if not found[0]:
            task = asyncio.current_task(self)
            if isinstance(task, RunTask):
                return task.site
        return found

    def create_future(self) -> RunFuture:
        """A future with a fixed place in sets."""
        check_wait_order(_NUMBERED, 2)
        if self.context is not None and self.context.is_seeded:
            check_wrapped(sys._getframe(1))  # noqa: SLF001 - the only way to see who asks
        return self.number(RunFuture(loop=self))

    def number(self, future: RunFuture) -> RunFuture:
        """Give a future its place."""
        self._future_key += 1
        future.key = self._future_key
        return future

    def create_task(
        self,
        coro: Any,
        *,
        name: str | None = None,
        context: Variables = None,
        eager_start: bool | None = None,
    ) -> RunTask:
        """A task with a fixed place in sets and a name that is the same on replay."""
        if self._thread != get_ident():
            self.reached(OutsideAccess("loop.create_task()", None))
            raise NotDurableError("loop.create_task() from another thread cannot be replayed")
        check_task_order(coro, 2)
        self._tasks_made += 1
        self._task_key += 1
        options: dict[str, object] = {"loop": self, "context": context}
        if self._eager if eager_start is None else eager_start:
            options["eager_start"] = True
        options["name"] = f"Task-{self._tasks_made}" if name is None else name
        task = RunTask(coro, self._task_key, call_site(2), **options)
        if not task.done():
            self.tasks[task.key] = task
            task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[object]) -> None:
        self.tasks.pop(hash(task), None)

    def set_task_factory(self, factory: object) -> None:
        """None, or `asyncio.eager_task_factory`: any other would make tasks without a number."""
        eager = getattr(asyncio, "eager_task_factory", None)
        if factory is not None and factory is not eager:
            raise NotDurableError(
                "loop.set_task_factory(): the tasks of a workflow are numbered by its own loop; "
                "only None and asyncio.eager_task_factory are possible"
            )
        self._eager = factory is not None

    def get_task_factory(self) -> Any:
        """What `set_task_factory` was given."""
        return asyncio.eager_task_factory if self._eager else None  # type: ignore[attr-defined]

    def time(self) -> float:
        """Unix seconds of the last fact."""
        return self.now

    def is_running(self) -> bool:
        """Whether this is a turn."""
        return self._thread != 0

    def is_closed(self) -> bool:
        """Whether the run has been evicted."""
        return self._gone

    def get_debug(self) -> bool:
        """Never: asyncio asks with each future."""
        return False

    def set_debug(self, enabled: bool) -> None:  # noqa: FBT001 - asyncio's signature
        """Has no effect."""

    def get_exception_handler(self) -> Any:
        """What `set_exception_handler` was given."""
        return self._handler

    def set_exception_handler(self, handler: Any) -> None:
        """Who is told of exceptions that nobody awaited; None means the log."""
        self._handler = handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Log it, unless this is a replay: then it was logged at the first time."""
        if self.replaying:
            return
        exc: BaseException | None = context.get("exception")
        details = "".join(
            f"\n{key}: {value!r}" for key, value in sorted(context.items())
            if key not in {"message", "exception"}
        )  # fmt: skip
        info: tuple[type[BaseException], BaseException, TracebackType | None] | None = (
            None if exc is None else (type(exc), exc, exc.__traceback__)
        )
        message = context.get("message") or "unhandled exception"
        logger.error("%s: %s%s", self._label, message, details, exc_info=info)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an exception that nobody awaited."""
        if self._gone or _is_gone(context.get("exception")):
            return
        if self._handler is None:
            self.default_exception_handler(context)
            return
        try:
            self._handler(self, context)
        except BaseException as exc:  # a handler's own fault must not end the run
            if is_interrupt(exc):
                raise
            self.default_exception_handler(
                {"message": "the exception handler failed", "exception": exc, "context": context}
            )


def _is_gone(exc: BaseException | None) -> bool:
    if isinstance(exc, BaseExceptionGroup):
        return all(_is_gone(inner) for inner in exc.exceptions)
    return isinstance(exc, Gone)


def _no_stop(exc: StopIteration) -> RuntimeError:
    error = RuntimeError("the predicate of wait_until() raised StopIteration")
    error.__cause__ = exc
    return error


async def _aclose(generator: AsyncGenerator[object, object]) -> None:
    await generator.aclose()


def _generator_dropped(_: AsyncGenerator[object, object]) -> None:
    """Never happens while the run lives; afterwards there is nothing left to do."""
