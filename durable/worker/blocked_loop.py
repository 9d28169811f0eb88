"""What holds a worker's event loop: the turn of a run, or an async activity.

It is found, named, and after a limit parted from what it keeps from moving: see
`durable.runtime.watchdog`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from durable.protocol.failures import Failure
from durable.replay.loop import Drains
from durable.runtime.watchdog import Watchdog as LoopWatchdog
from durable.store.activities import Attempt
from durable.telemetry.logs import logger


@dataclass(frozen=True, slots=True)
class Stuck:
    """What holds the loop: a run's code (`run_id`), or the attempt of an async activity."""

    run_id: int
    what: str
    attempt: Attempt | None = None


class Watchdog(LoopWatchdog):
    """Watches the event loop of one worker.

    Args:
        drains: where replay notes whose code runs.
        attempt_of: the attempt that a task runs, if it does.
        busy: whether there is anything to watch.
        limit: seconds after which `on_stuck` is called, on the watchdog's thread.
        on_stuck: told which run is to blame (0: an attempt that has a row of its own), and why.
    """

    def __init__(
        self,
        drains: Drains,
        attempt_of: Callable[[asyncio.Task[object]], Attempt | None],
        busy: Callable[[], bool],
        limit: float,
        on_stuck: Callable[[int, Failure], None],
    ) -> None:
        super().__init__(_Held(drains, attempt_of, busy, on_stuck), limit)


@dataclass(frozen=True, slots=True)
class _Held:
    """Implements `durable.runtime.watchdog.Watched` for a worker."""

    drains: Drains
    attempt_of: Callable[[asyncio.Task[object]], Attempt | None]
    is_busy: Callable[[], bool]
    on_stuck: Callable[[int, Failure], None]

    @property
    def advice(self) -> str:
        """What to do about it."""
        return "move what computes or blocks into a plain activity"

    def busy(self) -> bool:
        """Whether the worker holds anything."""
        return self.is_busy()

    def key(self, loop: asyncio.AbstractEventLoop) -> tuple[object, ...]:
        """One drain of one run, or one task."""
        if self.drains.run_id:
            return ("run", self.drains.run_id, self.drains.count)
        return ("task", id(asyncio.current_task(loop)))

    def name(self, loop: asyncio.AbstractEventLoop) -> str:
        """Whose code it is."""
        return self._stuck(loop).what

    def parting(
        self, loop: asyncio.AbstractEventLoop, limit: float, stack: str
    ) -> Callable[[], None] | None:
        """Give everything up to others, and blame the run; None where it is no run's code."""
        stuck = self._stuck(loop)
        if not stuck.run_id:
            return None

        def part() -> None:
            logger.critical(
                "%s has held the event loop for %g s: this worker gives its runs to others and is"
                " no member any more, until its loop goes on", stuck.what, limit,
            )  # fmt: skip
            # An attempt that has a row is counted by itself.
            written = stuck.attempt is not None and stuck.attempt.id is not None
            self.on_stuck(0 if written else stuck.run_id, _deadly(stuck, limit, stack))

        return part

    def _stuck(self, loop: asyncio.AbstractEventLoop) -> Stuck:
        if self.drains.run_id:
            return Stuck(self.drains.run_id, self.drains.label)
        task = asyncio.current_task(loop)
        attempt = None if task is None else self.attempt_of(task)
        if attempt is not None:
            return Stuck(attempt.run_id, f"activity {attempt.name!r} (run {attempt.jid})", attempt)
        return Stuck(0, "something on the event loop")


def _deadly(stuck: Stuck, limit: float, stack: str) -> Failure:
    message = (
        f"{stuck.what} held its worker's event loop for {limit:g} s without yielding, and ten times"
        " it cost its worker: it computes or blocks, without end or for too long; let it await"
        " something, or move that into a plain activity, then resume the run"
    )
    return Failure(type="Deadly", message=message, traceback=stack)
