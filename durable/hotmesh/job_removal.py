"""The deletion of jobs that have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from durable.engine.job import RUNNING
from durable.engine.retention import Retention
from durable.errors import ConfigurationError
from durable.hotmesh.job_lookup import JobLookup
from durable.protocol.durations import Duration
from durable.protocol.retention import Outcome, Pruned, pruning


class JobRemoval:
    """Deletes the ended jobs of one app."""

    def __init__(self, app_id: str, lookup: JobLookup, retention: Retention) -> None:
        self._app_id = app_id
        self._lookup = lookup
        self._retention = retention

    async def scrub(self, job_id: str) -> None:
        """Delete a job that has ended, with all that belongs to it; its id is free at once.

        Raises `JobNotFound` when no job has that `job_id`, and `ConfigurationError` for a job that
        runs: interrupt it first.

        Example:
            await mesh.scrub("t2")
        """
        found = await self._lookup.find(job_id)
        job = found.job
        if job.state == RUNNING or (found.is_function and found.is_open):
            raise ConfigurationError(
                f"job {job_id!r} still runs, and others may wait for it:"
                f" interrupt({job.graph!r}, {job_id!r}) ends it, then it can be scrubbed"
            )
        await self._retention.scrub(job.run_id)

    async def prune(
        self,
        *,
        older_than: Duration | None = None,
        keep: Iterable[Outcome] = (),
        streams: bool = True,
        dry_run: bool = False,
        tell: Callable[[Pruned], None] | None = None,
    ) -> Pruned:
        """Delete this app's jobs that expired long ago, in batches; how much it was.

        Engines and workers do so by themselves once a minute, as `retain` says. Running jobs, and
        those that never expire, are not touched.

        Args:
            older_than: how long ago they expired; as `retain` says unless given.
            keep: outcomes that stay: "completed", "failed" (which is any other end), or both.
            dry_run: only count.
            streams: also expired messages of jobs that stay, and signals that no hook received.
            tell: called with what has been deleted so far, after each batch.

        Raises `ConfigurationError` for what is no duration or outcome.

        Example:
            pruned = await mesh.prune(older_than="1 hour", keep=["failed"])
            print(pruned.jobs)
            # → 0
        """
        wanted = pruning(older_than, keep, streams=streams, app_id=self._app_id)
        if dry_run:
            return await self._retention.count(wanted)
        return await self._retention.prune(wanted, tell)
