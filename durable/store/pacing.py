"""How fast one consumer may claim.

The table `throttles` decides, which every claim reads; back pressure may add rests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from durable.postgres.database import Row


class Pace:
    """The pace of one consumer, as its latest claim found it, or as a notification set it since.

    A pause needs nothing from here: a claim finds nothing then. While a throttle asks for a delay,
    a claim takes one message; back pressure only adds rests.

    Args:
        consumer: the guid by which throttles may name this consumer.
        back_pressure: seconds that it rests between claims under back pressure.
    """

    def __init__(self, consumer: str, back_pressure: Callable[[], float] = lambda: 0.0) -> None:
        self.consumer = consumer
        self._back_pressure = back_pressure
        self._throttle = 0.0
        self._changed = asyncio.Event()

    @property
    def delay(self) -> float:
        """Seconds between two claims, 0 for none: the longer of throttle and back pressure."""
        return max(self._throttle, self._back_pressure())

    def limit(self, wanted: int) -> int:
        """How many messages to claim."""
        return 1 if self._throttle > 0 else wanted

    def claimed(self, rows: Sequence[Row]) -> None:
        """Remember what a claim found."""
        if rows:
            self._throttle = rows[0]["throttle"] / 1000

    def set(self, milliseconds: int) -> None:
        """The throttle was changed; a resting consumer goes on, and finds the new one."""
        self._throttle = max(milliseconds, 0) / 1000
        self._changed.set()

    async def rest(self) -> None:
        """Wait between two claims, as long as `delay` says, or until the throttle is changed."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.delay):
                await self._changed.wait()
