"""How jobs begin: published, published and waited for, resumed."""

from __future__ import annotations

from durable.engine.extension import extension
from durable.engine.job import Job
from durable.engine.job_queries import JobSnapshot, failure, output
from durable.engine.steps.graph_starts import Start
from durable.engine.steps.graph_steps import GraphSteps
from durable.engine.steps.graph_walks import UnknownTopic
from durable.engine.steps.graph_writes import OnCommitted
from durable.engine.steps.local_path import LocalPath
from durable.errors import ConfigurationError, JobTimeout
from durable.hotmesh.function_starts import FunctionStarts
from durable.hotmesh.job_signals import requested
from durable.hotmesh.publication import Publication
from durable.protocol.codes import TIMEOUT
from durable.protocol.durations import Duration, seconds
from durable.protocol.graphs import Data, Output
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

    async def pub(
        self,
        /,
        topic: str,
        data: Data | None = None,
        context: Data | None = None,
        extended: Data | None = None,
        *,
        request_id: str | None = None,
        **more: object,
    ) -> str:
        """Start the graph that subscribes to `topic`; the job's id.

        Args:
            topic: a graph's `subscribes`, or the name of a workflow of the app's task queue; one
                that begins with a dot is for activities only.
            data: plain data: what JSON can hold; of a workflow the arguments, by name.
            context: `{"metadata": {"trc": …, "spn": …}}`, kept with the job.
            extended: `pending`: the job gets its id and status -1, and nothing of it happens before
                `resume`; if that does not come within so many seconds (or a duration), it is
                deleted. `entity`: the kind of thing that it is about. `search`: searchable
                attributes, by name. `marker`: notes, by names that begin with "-".
            request_id: any text: a further call with the same topic and `request_id` starts
                nothing, and returns the id of the job that the first has started, as long as that
                job is kept.
            more: what `extended` may hold, as keywords.

        When the connection breaks, the start is sent again, and happens once.

        Raises `ConfigurationError` for a topic that nothing subscribes to, `DuplicateJob` for an id
        (of the trigger's `stats.id`) that is taken, `PayloadError` for data that JSON cannot hold.

        Example:
            print(await mesh.pub("ticket.open", {"id": "t1", "text": "my bill"}))
            # → t1
        """
        request = requested(request_id, "pub", self._app_id, topic)
        wanted = Publication(topic, data, context, extension(extended, more), request)
        return (await self._start(wanted, awaited=False))[0].jid

    async def pubsub(
        self,
        topic: str,
        data: Data | None = None,
        context: Data | None = None,
        timeout: Duration = 1,  # noqa: ASYNC109 - the ancestor's argument
    ) -> Output:
        """Start a graph and wait for its end: `{"metadata": …, "data": …}`.

        `topic`, `data` and `context` are as for `pub`.

        Raises what `pub` raises; `JobFailed` with the error's `code` when the job ends with an
        error (410 when it was interrupted); `JobTimeout`, code 504, when it has not ended after
        `timeout`: the job goes on.

        Example:
            await mesh.hook("ticket.answered", {"id": "t2", "text": "it is paid"})
            job = await mesh.pubsub("ticket.open", {"id": "t2", "text": "my bill"}, timeout="10s")
            print(job["data"])
            # → {'team': 'money', 'answer': 'it is paid'}
        """
        wanted, limit = Publication(topic, data, context), seconds(timeout)
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

    async def resume(self, job_id: str) -> None:
        """Have a pending job begin, on the version on which it was created.

        Or have what a running job has put aside delivered again: messages of which engines died,
        which `get_state` shows as `put_aside` in the metadata. They are counted anew.

        Raises `JobNotFound` when no pending job has that `job_id` (any more), nor a running one
        that has put something aside.

        Example:
            await mesh.pub("ticket.open", {"id": "t5", "text": "hello"}, pending="1 hour")
            print(await mesh.get_status("t5"))
            # → -1
            await mesh.resume("t5")
        """
        _, written = await self._steps.resume(self._app_id, job_id)
        self._on_committed(written)

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

    async def _begun(self, start: Start) -> Job:
        if self._local is not None:
            return await self._local.start(start)
        job, written = await self._steps.start(start)
        self._on_committed(written)
        return job
