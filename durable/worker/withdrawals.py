"""Runs of throttled workflows leave memory, since the turns of those held take no claim."""

from __future__ import annotations

from durable.worker.active_run import ActiveRun
from durable.worker.active_runs import ActiveRuns, Advance
from durable.worker.eviction import EvictionQueue, Releases
from durable.worker.throttles import PAUSED, QueueThrottles


class Withdrawals:
    """Gives runs back whose workflow a throttle is about.

    Args:
        throttles: those in force.
        runs: the runs that are held.
        evictions: takes runs of which nothing is in memory alone.
        releases: takes those with results that are on disk nowhere.
        commit_rows: has a run commit rows for what it has begun; its code does not go on.
    """

    def __init__(
        self, throttles: QueueThrottles, runs: ActiveRuns, evictions: EvictionQueue,
        releases: Releases, commit_rows: Advance,
    ) -> None:  # fmt: skip
        self._throttles = throttles
        self._runs = runs
        self._evictions = evictions
        self._releases = releases
        self._commit_rows = commit_rows

    def withdraw(self, run: ActiveRun) -> bool:
        """Give a run back, unless it may take its next turn; False: it may.

        A paused run takes none: what runs here for it gets rows, and results go to its inbox. Where
        there is a delay, a run takes the turns of its claim, and leaves when it has none.
        """
        throttle = self._throttles.of(run.claimed.workflow)
        if not throttle or run.commit or run.dropped:
            return False
        if throttle != PAUSED and not (run.was_read and run.idle):
            return False
        if run.needs_rows:
            run.write_down()
            self._commit_rows(run)
            return True
        due = run.steps.next_due()
        self._runs.drop(run)
        if run.unsaved_results():
            self._releases.give_back(run)
        else:
            self._evictions.add(run.claimed.run_id, due)
        return True
