"""A member whose lanes complete nothing is not alive, though it beats.

Beats go over a connection of their own, so they prove nothing about the others. Each lane keeps a
`Pulse`; with every beat that was answered in time the host looks at them all. Time counts only as
far as the host's loop itself went on: one that user code blocks is not taken for a dead server.
"""

from __future__ import annotations

from durable.runtime.clocks import SYSTEM, HostClock

SILENT = 30.0  # seconds after which a member leaves, and joins anew
TICK_MAX = 1.0  # seconds that one look may count


class Pulse:
    """The sign of life of one lane: whether something waits in it, and how much was completed.

    Example:
        >>> pulse = Pulse()
        >>> with pulse: ...  # doctest: +SKIP
    """

    __slots__ = ("_sent", "completed")

    def __init__(self) -> None:
        self._sent = 0
        self.completed = 0

    @property
    def waiting(self) -> bool:
        """Whether something has been sent, and not answered."""
        return self._sent > 0

    def __enter__(self) -> None:
        self._sent += 1

    def __exit__(self, *_: object) -> None:
        self._sent -= 1
        self.completed += 1


class LivenessMonitor:
    """Measures how long the lanes of a host have completed nothing while something waits.

    Args:
        clock: measures the time between two looks.
    """

    def __init__(self, clock: HostClock = SYSTEM) -> None:
        self._clock = clock
        self._lanes: dict[Pulse, tuple[int, float]] = {}
        self._looked = clock.monotonic()

    def watch(self, *lanes: Pulse) -> None:
        """Watch these lanes, and no others."""
        self._lanes = {lane: (lane.completed, 0.0) for lane in lanes}

    def look(self) -> float:
        """Seconds of the lane that has been silent for longest."""
        now = self._clock.monotonic()
        passed, self._looked = min(now - self._looked, TICK_MAX), now
        for lane, (completed, silent) in self._lanes.items():
            alive = not lane.waiting or lane.completed != completed
            self._lanes[lane] = (lane.completed, 0.0 if alive else silent + passed)
        return max((silent for _, silent in self._lanes.values()), default=0.0)
