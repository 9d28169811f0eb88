"""Code that does not yield: found, named, and after a limit parted from what it keeps from moving.

A workflow or an async activity that computes without end holds the event loop, and with it every
run of its worker, while the member's thread beats on. A thread of its own watches for that: it adds
up only the time through which it kept ticking itself, so that a machine that was suspended, or a
process that was stopped, is nobody's fault; and it counts nothing while a debugger holds the code.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from durable.protocol.failures import Failure
from durable.replay.loop import Drains
from durable.streams.activities import Attempt
from durable.telemetry.logs import logger

TICK = 0.25  # seconds
NAMED = 2.0  # seconds after which it is named in the log
DEBUGGERS = frozenset({"bdb", "pdb", "ipdb", "pydevd", "_pydevd_bundle", "debugpy"})
_STACK = 12  # lines of it that are told


@dataclass(frozen=True, slots=True)
class Stuck:
    """What holds the loop: a run's code (`run_id`), or the attempt of an async activity."""

    run_id: int
    what: str
    attempt: Attempt | None = None


class Watchdog:
    """Watches one event loop.

    Args:
        drains: where replay notes whose code runs.
        attempt_of: the attempt that a task runs, if it does.
        busy: whether there is anything to watch.
        limit: seconds after which `on_stuck` is called, on the watchdog's thread.
        on_stuck: told which run is to blame (0: an attempt that has a row of its own), and why.

    Attributes:
        seen: where in the code the loop was last seen to stand still; empty while it moves.
    """

    def __init__(
        self,
        drains: Drains,
        attempt_of: Callable[[asyncio.Task[object]], Attempt | None],
        busy: Callable[[], bool],
        limit: float,
        on_stuck: Callable[[int, Failure], None],
    ) -> None:
        self.seen = ""
        self._drains = drains
        self._attempt_of = attempt_of
        self._busy = busy
        self._limit = limit
        self._on_stuck = on_stuck
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ident = 0
        self._answered = True
        self._key: tuple[object, ...] = ()
        self._stood = 0.0
        self._named = False
        self._told = False
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to watch the running loop, which is that of this thread."""
        self._loop = asyncio.get_running_loop()
        self._ident = threading.get_ident()
        threading.Thread(target=self._run, name="durable watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stopped.wait(TICK):
            now = time.monotonic()
            passed, last = min(now - last, 2 * TICK), now
            if self._busy() or not self._answered:
                self._look(passed)

    def _look(self, passed: float) -> None:
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        if self._answered:
            self._answered, self.seen = False, ""
            self._begin(())
            with contextlib.suppress(RuntimeError):  # it has just been closed
                loop.call_soon_threadsafe(self._answer)
            return
        frame = sys._current_frames().get(self._ident)  # noqa: SLF001 - the documented name
        if frame is None or _is_debugged(frame):
            self._begin(())
            return
        key = self._holder(loop)
        if key != self._key:
            self._begin(key)
            self.seen = _place(frame)
            return
        self._stood += passed
        self._judge(loop, frame)

    def _answer(self) -> None:
        self._answered = True

    def _begin(self, key: tuple[object, ...]) -> None:
        self._key, self._stood, self._named, self._told = key, 0.0, False, False

    def _holder(self, loop: asyncio.AbstractEventLoop) -> tuple[object, ...]:
        """What runs on the loop: one drain of one run, or one task."""
        if self._drains.run_id:
            return ("run", self._drains.run_id, self._drains.count)
        return ("task", id(asyncio.current_task(loop)))

    def _judge(self, loop: asyncio.AbstractEventLoop, frame: FrameType) -> None:
        if self._stood < NAMED or (self._named and (self._told or self._stood < self._limit)):
            return
        stuck = self._stuck(loop)
        stack = "".join(traceback.format_stack(frame)[-_STACK:])
        if not self._named:
            self._named = True
            logger.warning(
                "%s has not yielded for %.0f s: nothing else of this worker moves meanwhile; move"
                " what computes or blocks into a plain activity. It stands at\n%s",
                stuck.what, self._stood, stack,
            )  # fmt: skip
        if self._stood >= self._limit and not self._told and stuck.run_id:
            self._told = True
            logger.critical(
                "%s has held the event loop for %g s: this worker gives its runs to others and is"
                " no member any more, until its loop goes on", stuck.what, self._limit,
            )  # fmt: skip
            # An attempt that has a row is counted by itself.
            written = stuck.attempt is not None and stuck.attempt.id is not None
            self._on_stuck(0 if written else stuck.run_id, _deadly(stuck, self._limit, stack))

    def _stuck(self, loop: asyncio.AbstractEventLoop) -> Stuck:
        if self._drains.run_id:
            return Stuck(self._drains.run_id, self._drains.label)
        task = asyncio.current_task(loop)
        attempt = None if task is None else self._attempt_of(task)
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


def _is_debugged(frame: FrameType | None) -> bool:
    """Whether a debugger holds the code: then it is somebody who reads it."""
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in DEBUGGERS:
            return True
        frame = frame.f_back
    return False


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_qualname}() at {frame.f_code.co_filename}:{frame.f_lineno}"
