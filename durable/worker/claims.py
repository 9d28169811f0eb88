"""Which of many workers look when a queue holds something new: as many as there is work for.

A notification reaches every worker of a queue. Were all of them to look, twenty would ask the
database for the one message that one of them gets. So each works out, from what the notification
says and from its own place among them, how near it is to the head of the line. A few more look a
moment later, should the first be busy, and take only what has been waiting: what is new by then
is somebody else's. Should all of them be busy, the sweep tells everybody.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from durable.runtime.notifications import QueueKind, QueueNews

TURNS = 50  # runs that one worker takes at once; of activities each may be long, and fill a worker
BEHIND = 3  # workers that look a moment later
MOMENT = 0.02  # seconds
# Seconds; who looks a moment later takes what has been due for so long: none missed is younger.
WAITING = MOMENT / 2


@dataclass(frozen=True, slots=True)
class Rank:
    """A worker's place among those of its queue: `rank` of 0 … `of` - 1."""

    rank: int = 0
    of: int = 1


def claim_delay(place: Rank, news: QueueNews) -> float | None:
    """Seconds after which a worker looks; None: others do.

    Args:
        place: the worker's; it may be out of date, since whoever is missed is told by the sweep.
        news: a kind of message, and unless it is for everybody how many there are and a number
            that moves the head of the line on.

    >>> one = QueueNews(QueueKind.TURN, 1, 40)
    >>> claim_delay(Rank(0, 20), one), claim_delay(Rank(2, 20), one), claim_delay(Rank(7, 20), one)
    (0.0, 0.02, None)
    >>> claim_delay(Rank(7, 20), QueueNews(QueueKind.TURN))
    0.0
    """
    if not news.amount:
        return 0.0
    ahead = news.amount // TURNS if news.kind is QueueKind.TURN else news.amount - 1
    behind = (place.rank - news.number) % place.of - ahead
    return 0.0 if behind <= 0 else MOMENT if behind <= BEHIND else None


class WakeEvent:
    """Set when there may be messages to claim: all that are due, or those that have been waiting.

    Example:
        >>> event = WakeEvent()
        >>> event.set()  # doctest: +SKIP
        >>> await event.wait()  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._waiting = WAITING
        self._set = asyncio.Event()
        self._late: asyncio.TimerHandle | None = None
        self._again = False

    def set(self) -> None:
        """Have what is due claimed."""
        self._waiting = 0.0
        self._set.set()

    def set_later(self, delay: float) -> None:
        """Have what is still there after `delay` seconds claimed; set again, once more later."""
        self._again = self._late is not None
        if self._late is None:
            self._late = asyncio.get_running_loop().call_later(delay, self._set_late, delay)

    def _set_late(self, delay: float) -> None:
        self._late = None
        self._set.set()
        if self._again:
            self.set_later(delay)

    async def wait(self) -> None:
        """Wait until it has been set since `drain`."""
        await self._set.wait()

    def drain(self) -> float:
        """What the claim that follows is to take: messages due for so many seconds."""
        self._set.clear()
        waiting, self._waiting = self._waiting, WAITING
        return waiting
