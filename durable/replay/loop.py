"""An asyncio event loop that runs only within the turns of its run.

It has a queue of ready callbacks, no clock, no selector, no threads. Its time is the time of the
run's last fact and stands still during a drain. A callback for later is a timer of the history.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable
from threading import get_ident
from typing import TypeVar

from durable.errors import NotDurableError, PayloadError
from durable.replay.drains import Drains
from durable.replay.event_loop import RunEventLoop
from durable.replay.generators import OpenGenerators, ignore_dropped
from durable.replay.outside_access import follow_threads
from durable.replay.predicates import Predicates
from durable.replay.steps import Steps
from durable.replay.tasks import RunFuture, RunTask
from durable.replay.unresponsive_tasks import close_unresponsive
from durable.runtime.interrupts import is_interrupt

CALLBACKS_MAX = 100_000  # of one drain; a gather of 10,000 activities takes about 20,000
ENDING_MAX = 1000  # of a drain at an eviction, and 20 a task: more is a loop that ignores its end


T = TypeVar("T")


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


class ReplayLoop(RunEventLoop):
    """The loop of one run, as the run drives it.

    Attributes:
        variables: the run's own context variables.
        unreadable: why a signal that had been received cannot be read at replay.
        drains: where it notes that its code runs, and as which run.
        of_workflow: what marks it for packages that cannot import this one.
    """

    of_workflow = True

    def __init__(
        self, steps: Steps, seed: int, label: str, callbacks_max: int = CALLBACKS_MAX
    ) -> None:
        super().__init__(steps, seed, label)
        self.variables = contextvars.Context()
        follow_threads(self.variables, self)
        self.unreadable: PayloadError | None = None
        self.drains: Drains | None = None
        self.run_id = 0
        self._callbacks_max = callbacks_max
        self._predicates = Predicates(steps)
        self._generators = OpenGenerators()

    def turn(self) -> _Turn:
        """Be this thread's running loop within the block, and give the place back."""
        return _Turn(self)

    def begin_turn(self) -> None:
        """See `turn`."""
        sys.set_asyncgen_hooks(self._generators.add, ignore_dropped)
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
                    raise _endless(self._label, self._callbacks_max)
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
            if not self._predicates.settle_first():
                return

    @property
    def is_disturbed(self) -> bool:
        """Whether something is ready outside of a turn, because other code woke it."""
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
        self._predicates.add(predicate, future)
        return future

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
        self._predicates.clear()
        self._generators.clear()
        self.context = None

    def _cancel_all(self) -> None:
        for task in list(self.tasks.values()):
            task.cancel()

    def _drain_quietly(self) -> None:
        if not (self._ready or self._predicates):
            return
        try:
            self.drain()
        except NotDurableError:
            self._ready.clear()

    def _close_generators(self) -> None:
        for closing in self._generators.closings():
            self.create_task(closing, context=self.variables)


def _endless(label: str, limit: int) -> NotDurableError:
    return NotDurableError(
        f"{label} went through {limit:,} callbacks without waiting for"
        " anything: a loop such as `while True: await asyncio.sleep(0)` never ends;"
        " await an activity, a signal or a longer sleep in it"
    )
