"""The methods of `HotMesh` that begin jobs, and end them from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from durable.engine.completion import failure, output
from durable.engine.effects import Interruption
from durable.engine.job import Job
from durable.engine.steps.graph_road import GraphRoad
from durable.engine.steps.graph_starts import Start
from durable.engine.steps.graph_steps import GraphSteps
from durable.engine.steps.graph_writes import Written
from durable.errors import ConfigurationError, JobNotFound
from durable.hotmesh.keeping import Keeping
from durable.hotmesh.signalling import requested
from durable.hotmesh.waiting import JobWaiters
from durable.protocol.codes import INTERRUPTED
from durable.protocol.durations import Duration, seconds
from durable.protocol.extension import Extension, extension
from durable.protocol.ids import new_request
from durable.protocol.limits import check_fields
from durable.telemetry.spans import starting

Data = Mapping[str, Any]
Output = dict[str, Any]

_INTERRUPTION = {"reason", "throw", "descend", "suppress", "expire", "code", "stack"}
_CONTEXT = {"trc", "spn", "ngn"}


class Starting(Keeping):
    """How jobs begin, and how they are ended from outside."""

    _steps: GraphSteps
    _road: GraphRoad | None
    _waiters: JobWaiters
    _channel: str
    _told: Callable[[Written], None]

    async def pub(
        self,
        topic: str,
        data: Data | None = None,
        context: Data | None = None,
        extended: Data | None = None,
        *,
        request_id: str | None = None,
        **more: Any,
    ) -> str:
        """Start the graph that subscribes to `topic`; the job's id.

        Args:
            topic: a graph's `subscribes`; one that begins with a dot is for activities only.
            data: plain data: what JSON can hold.
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
        beside = extension(extended, more)
        return (await self._start(topic, data, context, (), beside, request_id)).jid

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
        limit = seconds(timeout)
        job = await self._start(topic, data, context, (self._channel,))
        job, plan, now = await self._waiters.wait(job.run_id, job.jid, limit)
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
        _, written = await self._steps.resume(self.app_id, job_id)
        self._told(written)

    async def _start(
        self,
        topic: str,
        data: Data | None,
        context: Data | None,
        reply_to: tuple[str, ...],
        beside: Extension | None = None,
        request_id: str | None = None,
    ) -> Job:
        who = f"the start of {topic!r}"
        given = check_fields("context", context or {}, who).get("metadata", {})
        metadata = check_fields("context.metadata", given, who)
        if unknown := sorted(metadata.keys() - _CONTEXT):
            raise ConfigurationError(
                f"context.metadata has unknown keys {unknown}; known are {sorted(_CONTEXT)}"
            )
        if topic.startswith("."):
            raise ConfigurationError(
                f"topic {topic!r} is private: it begins with a dot, so only activities start it"
            )
        request = requested(request_id, "pub", self.app_id, topic)
        with starting(f"JOB/{self.app_id}/{topic}/1", metadata) as (trace, note):
            start = Start(
                self.app_id,
                topic,
                check_fields("data", data or {}, who),
                {**metadata, **trace},
                reply_to,
                extension=beside or Extension(),
                request=request or new_request(),
                named=request is not None,
            )
            job = await self._begun(start)
            note("app.job.jid", job.jid)
        return job

    async def _begun(self, start: Start) -> Job:
        if self._road is not None:
            return await self._road.start(start)
        job, written = await self._steps.start(start)
        self._told(written)
        return job

    async def interrupt(
        self, topic: str, job_id: str, options: Data | None = None, **more: Any
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
        if unknown := sorted(given.keys() - _INTERRUPTION):
            raise ConfigurationError(
                f"interrupt has unknown options {unknown}; known are {sorted(_INTERRUPTION)}"
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
            await self._known(topic, job_id)
            _, written = await self._steps.interrupt(self.app_id, job_id, how)
        except JobNotFound:
            if given.get("suppress"):
                return False
            raise
        self._told(written)
        return True
