"""How the process of `durable worker` ends: gracefully on request, at once when that is not enough.

Signals are taken by Python's own handlers rather than the event loop's, so that a second one is
heard while code that does not yield holds the loop; and the limit is kept by a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from durable.cli.output import Output

if TYPE_CHECKING:
    from durable.worker.worker import Worker

EXTRA = 15.0  # seconds that the limit is beyond the grace, unless given
LEAVING = 1.0  # seconds in which members free what they hold
FLUSHING = 1.0  # seconds for logs and streams
STOPPED = 4.6  # seconds after the grace in which connections are closed too, whoever answers
CLOSING = 0.5  # seconds that this has at least
OVER_LIMIT = 1  # exit codes
STUCK = 70

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Ending:
    """The end of one process.

    Args:
        workers: those that run in it; the list may grow.
        limit: seconds from the first word of a stop until the process exits, whatever still runs.
    """

    def __init__(self, workers: Sequence[Worker], limit: float) -> None:
        self.requested = asyncio.Event()
        self.cut_short = False  # it exits while things still run
        self._loop = asyncio.get_running_loop()
        self._workers = workers
        self._limit = limit
        self._begun = False
        self._since = time.monotonic()
        self._over = threading.Event()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Within: the first SIGTERM or SIGINT begins the end, the second is the end."""
        before = {number: signal.signal(number, self._heard) for number in _SIGNALS}
        try:
            yield
        finally:
            self._over.set()
            for number, handler in before.items():
                signal.signal(number, handler)

    def begin(self) -> None:
        """Stop gracefully, within the limit; on any thread."""
        if self._begun:
            return
        self._begun = True
        self._since = time.monotonic()
        threading.Thread(target=self._keep_limit, name="durable hard limit", daemon=True).start()
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
            self._loop.call_soon_threadsafe(self.requested.set)

    def close_within(self, grace: float) -> None:
        """All workers have stopped: exit soon, though a silent server keeps what is closed waiting.

        Args:
            grace: that of the stop, which is to be over five seconds after it.
        """
        left = max(CLOSING, self._since + grace + STOPPED - time.monotonic())

        def exit_by_then() -> None:
            time.sleep(left)
            _flush("the database does not answer: its connections are left as they are")
            os._exit(0)

        threading.Thread(target=exit_by_then, name="durable closing", daemon=True).start()

    def at_once(self, code: int, why: str) -> None:
        """Free what is held as of a process that died, flush, and exit; on any thread."""
        self.cut_short = True
        end = time.monotonic() + LEAVING
        for worker in self._workers:  # all are asked, then waited for
            worker.leave_at_once(0)
        for worker in self._workers:
            worker.leave_at_once(max(0.0, end - time.monotonic()))
        # Whoever holds the lock of a stream may be what blocks: it is not waited for.
        flushing = threading.Thread(target=_flush, args=(why,), daemon=True)
        flushing.start()
        flushing.join(FLUSHING)
        os._exit(code)

    def stuck(self) -> None:
        """Code holds the loop for good, and all has been given to others; on any thread."""
        self.at_once(STUCK, "code that does not yield holds the event loop: the process exits")

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if self._begun:
            self.at_once(128 + number, "told to stop again: ended at once")
        self.begin()

    def _keep_limit(self) -> None:
        if not self._over.wait(self._limit):
            why = f"what runs has not ended {self._limit:g} s after the stop (--hard-limit)"
            self.at_once(OVER_LIMIT, f"{why}: ended at once")


def _flush(why: str) -> None:
    with contextlib.suppress(Exception):  # a closed pipe must not stop the exit
        Output().note(why)
    for handler in logging.getLogger().handlers:
        with contextlib.suppress(Exception):
            handler.flush()
    Output.flush()
