"""Timers: things to be done at a time, in the order of their times, with one timer of the loop.

The loop is asked by `call_at` for the first of them alone. A `call_at` for each takes 17 µs where
this heap takes 3 µs (at 20,000 alarms), each would have to be armed
again every half minute, and items of one time would come in no particular order.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

LONGEST = 30.0  # seconds; a suspended machine's loop does not count, so a far alarm is looked at
ASK_AGAIN = 0.05  # seconds between two looks while the time is in doubt

Item = tuple[int, int]


def _certain() -> bool:
    return False


class Timers:
    """Calls `ring(due, item)` for each item when it is due.

    Args:
        now: the clock by which times are meant, in seconds.
        ring: called on the loop; items of one time come in the order of the items.
        doubtful: whether that clock has to be confirmed first; nothing is rung before.
    """

    def __init__(
        self,
        now: Callable[[], float],
        ring: Callable[[float, Item], None],
        doubtful: Callable[[], bool] = _certain,
    ) -> None:
        self._now = now
        self._ring = ring
        self._doubtful = doubtful
        self._heap: list[tuple[float, Item]] = []
        self._handle: asyncio.TimerHandle | None = None

    def add(self, due: float, item: Item) -> None:
        """Have `item` rung at `due`; at once when that has passed."""
        heapq.heappush(self._heap, (due, item))
        if self._heap[0] == (due, item):
            self._set()

    def close(self) -> None:
        """Ring no more."""
        self._heap.clear()
        self._set()

    def _set(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._heap:
            self._arm(min(max(0.0, self._heap[0][0] - self._now()), LONGEST))

    def _arm(self, wait: float) -> None:
        loop = asyncio.get_running_loop()
        self._handle = loop.call_at(loop.time() + wait, self._due)

    def _due(self) -> None:
        self._handle = None
        if self._doubtful():
            self._arm(ASK_AGAIN)
            return
        now = self._now()
        while self._heap and self._heap[0][0] <= now:
            due, item = heapq.heappop(self._heap)
            self._ring(due, item)
        if self._handle is None:
            self._set()


FLUSH_AFTER = 0.05  # a step that runs longer than this is written down, so that people can see it


class FlushTimers:
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
        self._alarms = Timers(monotonic, self._due)
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
