"""How jobs begin: published, published and waited for, resumed."""

from __future__ import annotations

from durable.engine.job import Job
from durable.engine.job_queries import JobSnapshot, failure, output
from durable.engine.steps.graph_starts import Start
from durable.engine.steps.graph_steps import GraphSteps, UnknownTopic
from durable.engine.steps.graph_writes import OnCommitted
from durable.engine.steps.local_path import LocalPath
from durable.errors import ConfigurationError, JobTimeout
from durable.hotmesh.function_starts import FunctionStarts
from durable.hotmesh.publication import Publication
from durable.protocol.codes import TIMEOUT
from durable.protocol.graphs import Output
from durable.protocol.ids import new_request
from durable.protocol.limits import check_fields
from durable.runtime.end_waiters import EndWaiters
from durable.telemetry.spans import starting

_CONTEXT = {"trc", "spn", "ngn"}


class JobStarts:
    """Starts the jobs of one app.

    Args:
        app_id: the app.
        steps: starts them in a transaction each.
        local: starts many in one statement, where this process is an engine; else None.
        waiters: the calls that wait for an end.
        functions: starts workflows, whose topics no graph has.
        on_committed: called with what each commit has written.
    """

    def __init__(
        self,
        app_id: str,
        steps: GraphSteps,
        local: LocalPath | None,
        waiters: EndWaiters[JobSnapshot],
        functions: FunctionStarts,
        on_committed: OnCommitted,
    ) -> None:
        self._app_id = app_id
        self._steps, self._local = steps, local
        self._waiters = waiters
        self._functions = functions
        self._on_committed = on_committed

    async def start(self, wanted: Publication) -> Job:
        """Start the graph that subscribes to a topic, else the workflow of its name."""
        return (await self._start(wanted, awaited=False))[0]

    async def run(self, wanted: Publication, limit: float) -> Output:
        """Start one and wait for its end, for so many seconds: `{"metadata", "data"}`."""
        job, waiters = await self._start(wanted, awaited=True)
        waiters.started(job.run_id)
        try:
            job, plan, now = await waiters.wait(job.run_id, limit)
        except TimeoutError:
            raise JobTimeout(
                f"timeout: job {job.jid} has not ended within {limit:g} s; it goes on",
                code=TIMEOUT,
                job_id=job.jid,
            ) from None
        if job.error is not None:
            raise failure(job.error, job.jid)
        return output(job, plan, now)

    async def _start(
        self, wanted: Publication, *, awaited: bool
    ) -> tuple[Job, EndWaiters[JobSnapshot]]:
        """Start one; the waiters to which its end is announced, if it is awaited."""
        if wanted.topic.startswith("."):
            raise ConfigurationError(
                f"topic {wanted.topic!r} is private: it begins with a dot, so only activities"
                " start it"
            )
        try:
            reply_to = (self._waiters.channel,) if awaited else ()
            return await self._start_graph(wanted, reply_to), self._waiters
        except UnknownTopic:
            job = await self._functions.start(wanted, awaited=awaited)
            if job is None:
                raise
            return job, self._functions.waiters

    async def _start_graph(self, wanted: Publication, reply_to: tuple[str, ...]) -> Job:
        topic, what = wanted.topic, f"the start of {wanted.topic!r}"
        given = check_fields("context", wanted.context or {}, what).get("metadata", {})
        metadata = check_fields("context.metadata", given, what)
        if unknown := sorted(metadata.keys() - _CONTEXT):
            raise ConfigurationError(
                f"context.metadata has unknown keys {unknown}; known are {sorted(_CONTEXT)}"
            )
        with starting(f"JOB/{self._app_id}/{topic}/1", metadata) as (trace, note):
            start = Start(
                self._app_id,
                topic,
                check_fields("data", wanted.data or {}, what),
                {**metadata, **trace},
                reply_to,
                extension=wanted.extension,
                request=wanted.request or new_request(),
                named=wanted.request is not None,
            )
            job = await self._begun(start)
            note("app.job.jid", job.jid)
        return job

    async def resume(self, job_id: str) -> None:
        """Have a pending job begin, or what a running one has put aside delivered again."""
        _, written = await self._steps.resume(self._app_id, job_id)
        self._on_committed(written)

    async def _begun(self, start: Start) -> Job:
        if self._local is not None:
            return await self._local.start(start)
        job, written = await self._steps.start(start)
        self._on_committed(written)
        return job
