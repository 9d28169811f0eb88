"""User code begins only while this process is known to be the member that it was.

A member may be taken for dead once its beat is overdue, and others go on with what it holds. The
process learns of that last: it was stopped, or its connection was gone, and what it was about to
begin is begun elsewhere. So each attempt looks at the lease in the moment before its code runs;
where the last beat is not young enough, it waits for another. The same bound makes a lease safe in
Chubby and etcd: the holder's idea of its end lies before that of all others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

FRESH = 1.0  # seconds from the beginning of a beat; it is overdue for others after 1.5


class Lease:
    """The lease of one member, as its process knows it; used on the loop on which it joined.

    `fresh`, `came` and `end` may be called by any thread.

    Args:
        monotonic: a clock that also counts while the process stands still.
        beat: has the member beat now.

    Example:
        >>> lease = Lease(lambda: 10.0, lambda: None)
        >>> lease.fresh()
        False
        >>> lease.renew(9.5, lease.came)
        >>> lease.fresh()
        True
    """

    def __init__(self, monotonic: Callable[[], float], beat: Callable[[], None]) -> None:
        self._monotonic = monotonic
        self._beat = beat
        self._renewed = float("-inf")
        self._ended = float("-inf")
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._came = 0
        self._closed = False

    def fresh(self) -> bool:
        """Whether no other member can have taken this one for dead yet."""
        return self._monotonic() - self._renewed < FRESH or self._closed

    async def confirmed(self) -> None:
        """Return when a beat has shown whether this process is still the same member.

        By then `on_lost` has been called if it is not, and what it ran has been cancelled.
        """
        if not self.fresh():
            beaten = asyncio.get_running_loop().create_future()
            self._came += 1
            self._waiting.append((self._came, beaten))
            self._beat()
            await beaten

    @property
    def came(self) -> int:
        """The number of the last waiter: a beat that begins now answers those up to it."""
        return self._came

    def renew(self, began: float, came: int) -> None:
        """A beat was answered. `on_lost` was called before, if this process is a member no longer.

        Args:
            began: when it began, by `monotonic`; minus infinity if there is no lease any more.
            came: the last waiter's number then. Those up to it go on however long the beat took;
                the others if it is young enough.
        """
        self._renewed = began if began > self._ended else float("-inf")
        self._answer(self._came if self.fresh() else came)
        if self._waiting:
            self._beat()

    def end(self) -> None:
        """The member is about to free what it holds: only a beat that begins later is a lease."""
        self._ended = self._monotonic()
        self._renewed = float("-inf")

    def close(self) -> None:
        """There are no beats any more, and nothing to wait for."""
        self._closed = True
        self._answer(self._came)

    def _answer(self, came: int) -> None:
        while self._waiting and self._waiting[0][0] <= came:
            _, beaten = self._waiting.popleft()
            if not beaten.done():
                beaten.set_result(None)
