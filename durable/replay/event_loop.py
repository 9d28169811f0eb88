"""What asyncio asks of the event loop of a run: callbacks, timers, futures, tasks and reports.

Its time is the time of the run's last fact. A callback for later is a timer of the history.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import Any

from durable.errors import NotDurableError
from durable.protocol.commands import StartTimer
from durable.replay.call_sites import Site, call_site, text
from durable.replay.exception_reports import ExceptionReports, Handler
from durable.replay.guards import NoOutside, check_task_factory, check_task_order, check_wait_order
from durable.replay.outside_access import OutsideAccess, access_by, check_wrapped
from durable.replay.steps import Steps, StepTimer
from durable.replay.tasks import RunFuture, RunTask, keys_of

_DUE_MAX = 253_402_300_799.0  # the last second of the year 9999: what comes later never comes

_NUMBERED = (RunFuture, RunTask)

Variables = contextvars.Context | None


class RunEventLoop(NoOutside):
    """The loop of one run, as asyncio sees it. `label` names the run in messages.

    Attributes:
        now: Unix seconds of the last fact.
        tasks: the live tasks in order of creation (strongly held: asyncio holds them weakly).
        context: what `durable.replay.context.current()` finds; set by the run.
        outside_access: the first access to the run from outside of its turn.
        on_outside_access: called then, on whatever thread.
        replaying: silences reports of unhandled exceptions.
    """

    def __init__(self, steps: Steps, seed: int, label: str) -> None:
        self.now = 0.0
        self.context: Any = None
        self.replaying = False
        self.outside_access: OutsideAccess | None = None
        self.on_outside_access: Callable[[], None] = lambda: None
        self.tasks: dict[int, RunTask] = {}
        self._label = label
        self._steps = steps
        self._ready: deque[asyncio.Handle] = deque()
        self._task_key, self._future_key = keys_of(seed)
        self._tasks_made = 0
        self._thread = 0  # that of the turn; 0 outside of one
        self._home = 0  # that of the last turn
        self._gone = False
        self._eager = False
        self._reports = ExceptionReports(label)

    def is_own_turn(self) -> bool:
        """Whether the run's own code asks."""
        return self._thread == get_ident()

    def reached(self, access: OutsideAccess) -> None:
        """Other code reached into the run: it is ended, by an error where it awaits.

        Raises `NotDurableError` on the run's own thread, so that the code at fault sees it too.
        Runs of earlier versions wait on, as they did then.
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
            check_wrapped(sys._getframe(1))  # noqa: SLF001 - the only way to see the caller
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
        """None, or `asyncio.eager_task_factory`."""
        check_task_factory(factory)
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

    def get_exception_handler(self) -> Handler | None:
        """What `set_exception_handler` was given."""
        return self._reports.handler

    def set_exception_handler(self, handler: Handler | None) -> None:
        """Have `handler` called with exceptions that no code awaited; None means the log."""
        self._reports.handler = handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Log it, unless this is a replay: then it was logged at the first time."""
        if not self.replaying:
            self._reports.log(context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an exception that no code awaited."""
        if not self._gone:
            self._reports.report(self, context)
