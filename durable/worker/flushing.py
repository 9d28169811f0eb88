"""Which steps that run here without a row have run for long enough to be written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from durable.worker.alarms import Alarms, Item

FLUSH_AFTER = 0.05  # a step that runs longer than this is written down, so that people can see it


class Flushes:
    """Calls `flush(run_id, issued)` for steps that began `FLUSH_AFTER` seconds ago.

    What begins in one turn of the loop is one alarm, and the time counts from the next turn on, in
    which its code has its first chance to run: a loop with much to do is no reason to write down
    what takes no time.

    Args:
        monotonic: elapsed seconds.
        flush: told a run, and the highest number of its steps that this is about.
    """

    def __init__(self, monotonic: Callable[[], float], flush: Callable[[int, int], None]) -> None:
        self._monotonic = monotonic
        self._flush = flush
        self._alarms = Alarms(monotonic, self._due)
        self._begun: list[Item] = []
        self._armed: dict[int, list[Item]] = {}
        self._last = 0

    def add(self, run_id: int, issued: int) -> None:
        """Steps of a run, up to `issued`, begin now."""
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._arm)
        self._begun.append((run_id, issued))

    def close(self) -> None:
        """Flush no more."""
        self._alarms.close()
        self._begun.clear()
        self._armed.clear()

    def _arm(self) -> None:
        if self._begun:
            self._last += 1
            self._armed[self._last], self._begun = self._begun, []
            self._alarms.add(self._monotonic() + FLUSH_AFTER, (self._last, 0))

    def _due(self, _due: float, item: Item) -> None:
        for run_id, issued in self._armed.pop(item[0]):
            self._flush(run_id, issued)
