"""The runs that one member holds in memory, bounded in number and weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from durable.replay.cache import RunCache
from durable.replay.run import Run
from durable.worker.active_run import ActiveRun
from durable.worker.attempts import Attempts


class Advance(Protocol):
    """Takes the next turn of a run, if there is something to do and no commit in flight."""

    def __call__(self, run: ActiveRun, /) -> None:
        """Advance the run."""
        ...


class ActiveRuns:
    """Active runs by their id; the least recently used are evicted when there are too many.

    Args:
        attempts: where attempts of their steps run, which stop with their run.
        count_max: how many runs may be held.
        bytes_max: how heavy they may be together.
        evicted: called with each run that was evicted, and when it is due.

    Attributes:
        loading: runs that are claimed, and on their way into memory.
    """

    def __init__(
        self, attempts: Attempts, *, count_max: int, bytes_max: int,
        evicted: Callable[[int, float | None], None],
    ) -> None:  # fmt: skip
        self.loading: set[int] = set()
        self._attempts = attempts
        self._evicted = evicted
        self._runs: dict[int, ActiveRun] = {}
        self._cache = RunCache(count_max, bytes_max, evict=self._evict, busy=self._is_busy)

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run_id: int) -> bool:
        return run_id in self._runs

    def __iter__(self) -> Iterator[ActiveRun]:
        """The runs as they are now; any of them may be dropped meanwhile."""
        return iter(list(self._runs.values()))

    @property
    def ids(self) -> list[int]:
        """The ids of all runs held."""
        return list(self._runs)

    def get(self, run_id: int) -> ActiveRun | None:
        """The run of this id, if it is held."""
        return self._runs.get(run_id)

    def settled(self) -> set[int]:
        """Those runs for which no commit is in flight."""
        return {r for r, run in self._runs.items() if run.commit is None}

    def rows(self) -> set[int]:
        """The rows of the runs held or loaded, and of their attempts that run here."""
        rows = {*self._runs, *self.loading}
        for run in self._runs.values():
            rows.update(run.steps.messages.values())
        return rows

    def knows(self, message: int, run_id: int) -> bool:
        """Whether a row is of a run held or loaded here, or may become so by a commit in flight."""
        if message in self.loading:
            return True
        run = self._runs.get(run_id)
        return run is not None and (message == run_id or run.commit is not None or run.has(message))

    def room(self, most: int, among: int) -> int:
        """How many more runs may be taken, `most` at most; for some of them, others may go."""
        return self._cache.room(most, among)

    def add(self, run: ActiveRun) -> None:
        """Hold a run; it is evicted once it has been `used`, and not before."""
        self._runs[run.claimed.run_id] = run

    def used(self, run: ActiveRun) -> None:
        """The run has taken a turn: it is weighed, and others are evicted if need be."""
        self._cache.put(run.run)

    def drop(self, run: ActiveRun) -> None:
        """Hold the run no more; its attempts that have no rows of their own stop."""
        run_id = run.claimed.run_id
        self._runs.pop(run_id, None)
        self._cache.drop(run_id)
        for number in (*run.steps.unwritten, *run.steps.messages):
            self._attempts.stop(run_id, number, unwritten=True)
        run.drop()

    def _is_busy(self, run: Run) -> bool:
        active = self._runs.get(run.identity.run_id)
        return active is not None and not active.idle

    def _evict(self, run: Run) -> None:
        active = self._runs.get(run.identity.run_id)
        if active is not None:
            due = active.steps.next_due()
            self.drop(active)
            self._evicted(active.claimed.run_id, due)
