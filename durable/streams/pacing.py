"""How fast one consumer may claim. The table `throttles` decides; every claim reads it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any


class Pace:
    """The pace of one consumer, as its latest claim found it, or as it was told since.

    A pause needs nothing from here: a claim finds nothing then. `delay` is in seconds, 0 for none;
    while there is one, a claim takes one message.

    Args:
        consumer: the guid by which throttles may name this consumer.
    """

    def __init__(self, consumer: str) -> None:
        self.consumer = consumer
        self.delay = 0.0
        self._changed = asyncio.Event()

    def limit(self, wanted: int) -> int:
        """How many messages to claim."""
        return 1 if self.delay > 0 else wanted

    def claimed(self, rows: Sequence[Any]) -> None:
        """Remember what a claim found."""
        if rows:
            self.delay = rows[0]["throttle"] / 1000

    def set(self, milliseconds: int) -> None:
        """The throttle was changed; who rests goes on, and finds the new one."""
        self.delay = max(milliseconds, 0) / 1000
        self._changed.set()

    async def rest(self) -> None:
        """Wait between two claims, as long as the throttle says, or until it is changed."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.delay):
                await self._changed.wait()
