"""How jobs are ended from outside."""

from __future__ import annotations

from dataclasses import replace

from durable.client.terminations import Terminations, termination
from durable.engine.effects import Interruption
from durable.engine.job import Job
from durable.engine.steps.graph_steps import GraphSteps
from durable.engine.steps.graph_writes import OnCommitted
from durable.errors import ConfigurationError, JobNotFound
from durable.hotmesh.job_lookup import JobLookup
from durable.protocol.codes import CONFLICT, INTERRUPTED
from durable.protocol.graphs import Data

_OPTIONS = {"reason", "throw", "descend", "suppress", "expire", "code", "stack"}


class JobInterrupts:
    """Interrupts the jobs of one app.

    Args:
        steps: interrupt those of graphs.
        terminations: end runs of functions.
        lookup: says which it is.
        on_committed: called with what an interruption has written.
    """

    def __init__(
        self,
        steps: GraphSteps,
        terminations: Terminations,
        lookup: JobLookup,
        on_committed: OnCommitted,
    ) -> None:
        self._steps, self._lookup = steps, lookup
        self._terminations = terminations
        self._on_committed = on_committed

    async def interrupt(
        self, /, topic: str, job_id: str, options: Data | None = None, **more: object
    ) -> bool:
        """End a running job; its waiters get error 410.

        Args:
            topic: the graph's `subscribes`.
            job_id: the job's id.
            options: reason; throw (False: waiters get the data as it is); descend (interrupt the
                jobs that it awaits as well); suppress (return False where this would raise); code;
                stack; expire.
            more: the same options, as keywords.

        Raises `JobNotFound` when no job of that id runs.

        Example:
            await mesh.pub("ticket.open", {"id": "t4", "text": "buy now"})
            print(await mesh.interrupt("ticket.open", "t4", reason="spam"))
            # → True
            print(await mesh.interrupt("ticket.open", "t4", suppress=True))
            # → False
        """
        given = {**(options or {}), **more}
        if unknown := sorted(given.keys() - _OPTIONS):
            raise ConfigurationError(
                f"interrupt has unknown options {unknown}; known are {sorted(_OPTIONS)}"
            )
        how = Interruption(
            given.get("reason", ""),
            given.get("code", INTERRUPTED),
            given.get("throw", True),
            given.get("descend", False),
            given.get("stack", ""),
            given.get("expire"),
        )
        try:
            await self._interrupt(topic, job_id, how)
        except JobNotFound:
            if given.get("suppress"):
                return False
            raise
        return True

    async def _interrupt(self, topic: str, job_id: str, how: Interruption) -> None:
        found = await self._lookup.of_topic(topic, job_id)
        if found.is_function:
            await self._terminate(found.job, how)
            return
        _, written = await self._steps.interrupt(found.job.app_id, job_id, how)
        self._on_committed(written)

    async def _terminate(self, job: Job, how: Interruption) -> None:
        """End a run of a function; what HotMesh's callers say of it stands in its failure."""
        if how.expire is not None:
            raise ConfigurationError(
                f"job {job.jid!r} is a run of workflow {job.graph!r}, whose id is free when it has"
                " ended; retention says when it is deleted: leave `expire` out"
            )
        failure = termination(how.reason or f"job [{job.jid}] interrupted")
        details = None if how.code == INTERRUPTED else {"code": how.code}
        failure = replace(failure, traceback=how.stack, details=details)
        ended = await self._terminations.terminate(
            job.run_id, failure, throws=how.throws, descend=how.descend
        )
        if not ended:
            raise JobNotFound(f"Job {job.jid} already completed", code=CONFLICT, job_id=job.jid)
