"""Timers: durable timers and step limits of the runs held, called in the order of their times.

One timer of the event loop stands for the first of them. A `call_at` for each takes 7 µs where this
heap takes 3 µs (at 20,000 timers), each would have to be armed again every half minute, and timers
of one time would fire in no particular order.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from functools import partial

from durable.protocol.commands import StartActivity, StartTimer
from durable.worker.active_run import ActiveRun
from durable.worker.active_runs import ActiveRuns, Advance
from durable.worker.attempts import Attempts
from durable.worker.settlements import AttemptSettler
from durable.worker.turns import Turn
from durable.worker.worker_context import WorkerContext, left_to_reconciler

LONGEST = 30.0  # seconds; the loop does not count a suspension, so a far timer is looked at again
ASK_AGAIN = 0.05  # seconds between two looks while the time is in doubt
FLUSH_AFTER = 0.05  # a step that runs longer than this is written down, so that people can see it

Item = tuple[int, int]


class Timers:
    """Calls `fire(due, item)` for each item when it is due.

    Args:
        now: the clock by which times are meant, in seconds.
        fire: called on the loop; items of one time come in the order of the items.
        doubtful: whether that clock has to be confirmed first; until then none fires.
    """

    def __init__(
        self,
        now: Callable[[], float],
        fire: Callable[[float, Item], None],
        doubtful: Callable[[], bool] = lambda: False,
    ) -> None:
        self._now = now
        self._fire = fire
        self._doubtful = doubtful
        self._heap: list[tuple[float, Item]] = []
        self._handle: asyncio.TimerHandle | None = None

    def add(self, due: float, item: Item) -> None:
        """Have `item` fire at `due`; at once when that has passed."""
        heapq.heappush(self._heap, (due, item))
        if self._heap[0] == (due, item):
            self._set()

    def close(self) -> None:
        """Have none fire any more."""
        self._heap.clear()
        self._set()

    def _set(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._heap:
            self._arm(min(max(0.0, self._heap[0][0] - self._now()), LONGEST))

    def _arm(self, wait: float) -> None:
        self._handle = asyncio.get_running_loop().call_later(wait, self._due)

    def _due(self) -> None:
        self._handle = None
        if self._doubtful():
            self._arm(ASK_AGAIN)
            return
        now = self._now()
        while self._heap and self._heap[0][0] <= now:
            due, item = heapq.heappop(self._heap)
            self._fire(due, item)
        if self._handle is None:
            self._set()


class RunTimers:
    """The durable timers and step limits of the runs held, and when their steps are written down.

    Steps that run here without a row are written down once they have run for `FLUSH_AFTER` seconds.
    That time counts from the next turn of the loop on, in which their code has its first chance to
    run: a loop that has much to do is no reason to write down what takes no time.
    """

    def __init__(
        self, context: WorkerContext, runs: ActiveRuns, attempts: Attempts,
        settler: AttemptSettler, advance: Advance,
    ) -> None:  # fmt: skip
        self._context = context
        self._runs = runs
        self._attempts = attempts
        self._settler = settler
        self._advance = advance
        self._timers = Timers(context.clock.now, self._due, context.clock.doubtful)
        self._begun: list[Item] = []  # runs, and their highest steps, that began in this moment

    def arm(self, run: ActiveRun, turn: Turn) -> None:
        """Arm what a turn has started."""
        run_id = run.claimed.run_id
        for timer in turn.timers:
            self._timers.add(timer.due, (run_id, timer.number))
        for at, number in turn.limits:
            self._timers.add(at, (run_id, number))
        if run.run.issued > run.steps.issued and run.run.open:
            if not self._begun:
                asyncio.get_running_loop().call_soon(self._arm_flush)
            self._begun.append((run_id, run.run.issued))

    def close(self) -> None:
        """Have none fire any more."""
        self._timers.close()

    def _due(self, due: float, item: Item) -> None:
        run_id, number = item
        run = self._runs.get(run_id)
        if run is None:
            return
        step = run.run.open.get(number)
        if isinstance(step, StartTimer):
            run.timer_fired(number, due)
            self._advance(run)
        elif isinstance(step, StartActivity):
            self._limits_due(run, step, due)

    def _limits_due(self, run: ActiveRun, step: StartActivity, due: float) -> None:
        for kind, at in run.steps.limits.get(step.number, {}).items():
            if at <= due:
                limit = float(getattr(step.options, kind) or 0)
                self._context.tasks.once(
                    f"limit of step {step.number}",
                    partial(self._settler.overdue, run.claimed, step, kind, limit),
                    otherwise=left_to_reconciler,
                )

    def _arm_flush(self) -> None:
        begun, self._begun = self._begun, []
        asyncio.get_running_loop().call_later(FLUSH_AFTER, self._flush, begun)

    def _flush(self, begun: list[Item]) -> None:
        """Write down what is open of these steps, unless its result is here."""
        for run_id, issued in begun:
            run = self._runs.get(run_id)
            if run is not None and not all(
                self._attempts.returned(run_id, n) for n in run.unanswered(issued)
            ):
                run.write_down()
                self._advance(run)
