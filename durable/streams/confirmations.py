"""An answer of the database that came late is acted on only by who is a member still.

A process that was stopped finds, when it goes on, answers from before: "committed", "claimed". It
may have been taken for dead meanwhile, and others go on with what it held. So after a late answer
nothing is begun until a beat has told whether this process is the member that it was.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

R = TypeVar("R")

LATE = 1.0  # seconds: a beat is overdue after 1.5, and then a member may be taken for dead


class Confirmations:
    """Who waits for a beat that begins from now on. Asked on one loop, answered from any thread.

    Args:
        monotonic: a clock that also counts while the process stands still.
        beat: has the member beat now.

    Example:
        >>> claimed = await confirmations.timely(runs.claim(...))  # doctest: +SKIP
    """

    def __init__(self, monotonic: Callable[[], float], beat: Callable[[], None]) -> None:
        self._monotonic = monotonic
        self._beat = beat
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False

    async def timely(self, asking: Awaitable[R]) -> R:
        """What `asking` answers; if that took long, only once the member has beaten again."""
        asked = self._monotonic()
        answer = await asking
        if self._monotonic() - asked > LATE and not self._closed:
            beaten = asyncio.get_running_loop().create_future()
            self._waiting.append(beaten)
            self._beat()
            await beaten
        return answer

    def begin(self) -> Sequence[asyncio.Future[None]]:
        """A beat begins: who waits for it, to be passed to `settle` when it is over."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def again(self, waiting: Sequence[asyncio.Future[None]]) -> None:
        """That beat told nothing: they wait for the next."""
        self._waiting.extendleft(reversed(waiting))

    def close(self) -> None:
        """There are no beats any more, and nothing to wait for."""
        self._closed = True
        settle(self.begin())


def settle(waiting: Sequence[asyncio.Future[None]]) -> None:
    """On the loop of who waits: a beat has told, and what it told has been made known before."""
    for future in waiting:
        if not future.done():
            future.set_result(None)
