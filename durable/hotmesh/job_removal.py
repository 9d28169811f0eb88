"""The deletion of jobs that have ended."""

from __future__ import annotations

from collections.abc import Callable

from durable.engine.job import RUNNING
from durable.engine.retention import Retention
from durable.errors import ConfigurationError
from durable.hotmesh.job_lookup import JobLookup
from durable.protocol.retention import Pruned, Pruning


class JobRemoval:
    """Deletes the ended jobs of one app."""

    def __init__(self, lookup: JobLookup, retention: Retention) -> None:
        self._lookup = lookup
        self._retention = retention

    async def scrub(self, job_id: str) -> None:
        """Delete a job that has ended, with all that belongs to it."""
        found = await self._lookup.find(job_id)
        job = found.job
        if job.state == RUNNING or (found.is_function and found.is_open):
            raise ConfigurationError(
                f"job {job_id!r} still runs, and others may wait for it:"
                f" interrupt({job.graph!r}, {job_id!r}) ends it, then it can be scrubbed"
            )
        await self._retention.scrub(job.run_id)

    async def prune(
        self, wanted: Pruning, tell: Callable[[Pruned], None] | None, *, dry_run: bool
    ) -> Pruned:
        """Delete what expired long ago, or count it; `tell` is called after each batch."""
        if dry_run:
            return await self._retention.count(wanted)
        return await self._retention.prune(wanted, tell)
