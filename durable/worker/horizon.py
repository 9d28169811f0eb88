"""How much a poll looks at: all that the worker holds, or what has arrived lately.

Looking at all costs what is held, so it is done once for so many rows a second: each poll while
there are few. Between two such looks a poll reads the inbox rows of the last seconds; one whose
writer took longer to commit than that is found by the next look at all.
"""

from __future__ import annotations

from collections import deque

from durable.runtime.clocks import SYSTEM, HostClock

ROWS = 1_000.0  # of those held are looked at in a second, on average
RECENT = 3.0  # seconds


class Horizon:
    """What the polls of one worker have looked at.

    Args:
        clock: measures the seconds between them.

    Example:
        >>> Horizon().after is None  # nothing has been looked at yet
        True
    """

    def __init__(self, clock: HostClock = SYSTEM) -> None:
        self._clock = clock
        self._ids: deque[tuple[float, int]] = deque()  # when it was the last one given out
        self._whole = float("-inf")  # when all is to be looked at again

    @property
    def after(self) -> int | None:
        """The next poll looks at inbox rows after this id; None: at all that is held."""
        now = self._clock.monotonic()
        while len(self._ids) > 1 and self._ids[1][0] <= now - RECENT:
            self._ids.popleft()
        if now >= self._whole or not self._ids or self._ids[0][0] > now - RECENT:
            return None
        return self._ids[0][1]

    def looked(self, last_id: int, held: int | None) -> None:
        """Note what a poll has seen.

        Args:
            last_id: the last id that the database had given out.
            held: how many rows are held; None where the poll did not look at them.
        """
        now = self._clock.monotonic()
        self._ids.append((now, last_id))
        if held is not None:
            self._whole = now + held / ROWS

    def look_again(self, within: float) -> None:
        """Look at all that is held again in so many seconds, if not before."""
        self._whole = min(self._whole, self._clock.monotonic() + within)
