"""Finds code that does not yield, names it, and after a limit has its host give everything up.

What computes without end holds the event loop, and with it all else of its host, while the member's
thread beats on. A thread of its own watches for that: it adds up only the time through which it
kept ticking itself, so that a suspended machine or a stopped process is not blamed on the code; and
it counts nothing while a debugger holds the code.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Protocol

from durable.telemetry.logs import logger

TICK = 0.25  # seconds
NAMED = 2.0  # seconds after which it is named in the log
DEBUGGERS = frozenset({"bdb", "pdb", "ipdb", "pydevd", "_pydevd_bundle", "debugpy"})
_STACK = 12  # lines of it that are logged


class Watched(Protocol):
    """A host on an event loop, as the watchdog sees it: from its own thread."""

    @property
    def advice(self) -> str:
        """What people can do about it."""
        ...

    def busy(self) -> bool:
        """Whether there is anything to watch."""
        ...

    def key(self, loop: asyncio.AbstractEventLoop) -> tuple[object, ...]:
        """What runs on the loop; another key: something else runs now."""
        ...

    def name(self, loop: asyncio.AbstractEventLoop) -> str:
        """What runs on the loop, for people."""
        ...

    def remedy(
        self, loop: asyncio.AbstractEventLoop, limit: float, stack: str
    ) -> Callable[[], None] | None:
        """What to do when the limit has passed; None: what runs is not the host's."""
        ...


class Watchdog:
    """Watches one event loop.

    Args:
        watched: the host.
        limit: seconds after which its remedy is called, on the watchdog's thread.

    Attributes:
        seen: where in the code the loop was last seen to stand still; empty while it moves.
    """

    def __init__(self, watched: Watched, limit: float) -> None:
        self.seen = ""
        self._watched = watched
        self._limit = limit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ident = 0
        self._answered = True
        self._key: tuple[object, ...] = ()
        self._stood = 0.0
        self._named = False
        self._remedied = False
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
            if self._watched.busy() or not self._answered:
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
        key = self._watched.key(loop)
        if key != self._key:
            self._begin(key)
            self.seen = _place(frame)
            return
        self._stood += passed
        self._judge(loop, frame)

    def _answer(self) -> None:
        self._answered = True

    def _begin(self, key: tuple[object, ...]) -> None:
        self._key, self._stood, self._named, self._remedied = key, 0.0, False, False

    def _judge(self, loop: asyncio.AbstractEventLoop, frame: FrameType) -> None:
        if self._named and (self._remedied or self._stood < self._limit):
            return
        if self._stood < min(NAMED, self._limit):
            return
        stack = "".join(traceback.format_stack(frame)[-_STACK:])
        if not self._named:
            self._named = True
            logger.warning(
                "%s has not yielded for %.0f s: nothing else on its event loop moves meanwhile; %s."
                " It stands at\n%s",
                self._watched.name(loop), self._stood, self._watched.advice, stack,
            )  # fmt: skip
        if self._stood >= self._limit and not self._remedied:
            act = self._watched.remedy(loop, self._limit, stack)
            if act is not None:
                self._remedied = True
                act()


def _is_debugged(frame: FrameType | None) -> bool:
    """Whether a debugger holds the code, and a person reads it."""
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in DEBUGGERS:
            return True
        frame = frame.f_back
    return False


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_qualname}() at {frame.f_code.co_filename}:{frame.f_lineno}"
