"""The clocks of a host: one object for the time of day, for elapsed time and for timers.

Elapsed time counts while the machine is suspended, where the system can tell (CLOCK_BOOTTIME), and
is never moved by a step of the wall clock.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Protocol, TypeVarTuple

from durable.protocol.clock import whole

Ts = TypeVarTuple("Ts")

LONGEST = 30.0  # seconds: what is due later is looked at again on the way


class Timer(Protocol):
    """A call that is due later, and may be cancelled."""

    def cancel(self) -> None:
        """Have it not called."""
        ...


class HostClock(Protocol):
    """Where timeouts, heartbeats, leases and polls take their time from."""

    def now(self) -> float:
        """The time of day, in Unix seconds; it may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; it never jumps."""
        ...

    def call_at(self, when: float, callback: Callable[[*Ts], object], *args: *Ts) -> Timer:
        """Call `callback` once `monotonic()` has reached `when`, on the running loop."""
        ...


class SystemClock:
    """The clocks of this machine: implements `HostClock`.

    Example:
        >>> clock = SystemClock()
        >>> clock.monotonic() <= clock.monotonic()
        True
    """

    def __init__(self) -> None:
        self._which = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> float:
        """The time of day, in Unix seconds."""
        return time.time()  # noqa: TID251 - the one place that reads it; others get a clock

    def monotonic(self) -> float:
        """Seconds since the machine was started."""
        return time.clock_gettime(self._which)

    def call_at(self, when: float, callback: Callable[[*Ts], object], *args: *Ts) -> Timer:
        """Call `callback(*args)` once `monotonic()` has reached `when`."""
        return _LoopTimer(self, when, lambda: callback(*args))


class _LoopTimer:
    """Looks again at least every half minute: the loop's own timers do not count a suspension."""

    def __init__(self, clock: SystemClock, when: float, callback: Callable[[], object]) -> None:
        self._clock = clock
        self._when = when
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None
        self._arm()

    def _arm(self) -> None:
        wait = min(max(0.0, self._when - self._clock.monotonic()), LONGEST)
        self._handle = asyncio.get_running_loop().call_later(wait, self._look)

    def _look(self) -> None:
        if self._clock.monotonic() >= self._when:
            self._callback()
        else:
            self._arm()

    def cancel(self) -> None:
        """Have it not called."""
        if self._handle is not None:
            self._handle.cancel()


SYSTEM = SystemClock()

STEP = 0.25  # seconds between the two clocks of this machine that slewing does not explain
ASK_EVERY = 1.0  # seconds, while the database does not answer


class MemberClock:
    """The database's time, from elapsed time here and the offset between the two.

    What the database says was true between question and answer: the shorter that took, the better
    the offset is known. A worse measurement counts only where it cannot agree with the better one.
    A step of this machine's wall clock moves nothing. But it may mean that the machine was asleep
    where elapsed time does not count that: so until the database has been asked again, the time is
    `doubtful`, and no timer is to fire by it.

    Args:
        clock: this machine's.
        on_doubt: called when the database has to be asked.
    """

    def __init__(
        self, clock: HostClock = SYSTEM, on_doubt: Callable[[], object] = lambda: None
    ) -> None:
        self.host = clock
        self._on_doubt = on_doubt
        self._between = clock.now() - clock.monotonic()
        self._offset = self._between
        self._error = math.inf
        self._asked = -math.inf

    def now(self) -> float:
        """Unix seconds, whole microseconds."""
        return whole(self.host.monotonic() + self._offset)

    def monotonic(self) -> float:
        """Elapsed seconds; they never jump."""
        return self.host.monotonic()

    def doubtful(self) -> bool:
        """Whether the database has to be asked before anything is due; `on_doubt` is called."""
        if abs(self.host.now() - self.host.monotonic() - self._between) <= STEP:
            return False
        if self.host.monotonic() - self._asked >= ASK_EVERY:
            self._asked = self.host.monotonic()
            self._on_doubt()
        return True

    def synchronize(self, asked: float, now: float) -> None:
        """The database has just answered `now` to a question sent at `asked` of elapsed time."""
        answered = self.host.monotonic()
        offset, error = now - (asked + answered) / 2, (answered - asked) / 2
        if error <= self._error or abs(offset - self._offset) > error + self._error:
            self._offset, self._error = offset, error
        self._between = self.host.now() - self.host.monotonic()
