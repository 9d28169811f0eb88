"""The runs that a worker keeps in memory between their turns."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import islice

from durable.replay.run import Run

OVER = 20  # a twentieth more than there is room for, at a time, when nothing may go
LOOKED_AT = 100  # runs, to find one that may go: what a new one costs does not grow with the cache


class RunCache:
    """Runs by their id, the least recently used first to go.

    Args:
        count_max: how many runs are kept.
        bytes_max: how heavy they may be together, by `Run.weight`.
        evict: called with each run that has to go; it gives the run back and calls `Run.evict`.
        busy: whether a run is in the middle of a commit and must stay; a cache full of such runs
            is over its bounds for a moment.

    Example:
        >>> cache = RunCache(1000, 256_000_000, evict=Run.evict, busy=lambda run: False)
        >>> cache.get(7) is None, len(cache), cache.weight
        (True, 0, 0)
    """

    def __init__(
        self,
        count_max: int,
        bytes_max: int,
        *,
        evict: Callable[[Run], None],
        busy: Callable[[Run], bool],
    ) -> None:
        self._count_max, self._bytes_max = count_max, bytes_max
        self._evict, self._busy = evict, busy
        self._runs: OrderedDict[int, Run] = OrderedDict()
        self._weights: dict[int, int] = {}
        self.weight = 0

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run_id: int) -> bool:
        return run_id in self._runs

    def __iter__(self) -> Iterator[int]:
        """Run ids, the least recently used first."""
        return iter(list(self._runs))

    def get(self, run_id: int) -> Run | None:
        """The run, which is thereby the most recently used; None when it is not here."""
        run = self._runs.get(run_id)
        if run is not None:
            self._runs.move_to_end(run_id)
        return run

    def put(self, run: Run) -> None:
        """Keep the run, weigh it (again), and make room where the bounds are passed."""
        run_id = run.identity.run_id
        weight = run.weight
        self.weight += weight - self._weights.get(run_id, 0)
        self._weights[run_id] = weight
        self._runs[run_id] = run
        self._runs.move_to_end(run_id)
        if self._is_full():
            self.shrink()

    def drop(self, run_id: int) -> Run | None:
        """Forget the run without evicting it, and hand it out; None when it is not here."""
        run = self._runs.pop(run_id, None)
        if run is not None:
            self.weight -= self._weights.pop(run_id)
        return run

    def shrink(self) -> None:
        """Evict idle runs, oldest first, until the bounds hold.

        Those found busy are in use, and go to the end: so none of them is looked at again and
        again. One call looks at so many at most; the next one goes on.
        """
        for _ in range(min(len(self._runs), LOOKED_AT)):
            if not self._is_full():
                return
            run_id, run = next(iter(self._runs.items()))
            if self._busy(run):
                self._runs.move_to_end(run_id)
            else:
                self.drop(run_id)
                self._evict(run)

    def room(self, most: int, among: int) -> int:
        """How many runs more could be kept, if idle ones of the `among` oldest went, up to `most`.

        Never none: what all the busy ones wait for may be among the new ones.
        """
        room = self._count_max - len(self._runs)
        if room < most:
            room = max(0, room) + sum(
                not self._busy(run) for run in islice(self._runs.values(), among)
            )
        return max(1, min(most, max(room, self._count_max // OVER)))

    def clear(self) -> None:
        """Evict everything that is idle; busy runs stay, and can be seen by `len`."""
        for run_id, run in list(self._runs.items()):
            if not self._busy(run):
                self.drop(run_id)
                self._evict(run)

    def _is_full(self) -> bool:
        return len(self._runs) > self._count_max or self.weight > self._bytes_max
