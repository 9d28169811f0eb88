"""How jobs begin: published, published and waited for, resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from durable.engine.completion import Finished, failure, output
from durable.engine.job import Job
from durable.engine.steps.graph_road import GraphRoad
from durable.engine.steps.graph_starts import Start
from durable.engine.steps.graph_steps import GraphSteps
from durable.engine.steps.graph_writes import Written
from durable.errors import ConfigurationError, JobTimeout
from durable.protocol.codes import TIMEOUT
from durable.protocol.extension import Extension
from durable.protocol.graphs import Data
from durable.protocol.ids import new_request
from durable.protocol.limits import check_fields
from durable.runtime.waiting import EndWaiters
from durable.telemetry.spans import starting

_CONTEXT = {"trc", "spn", "ngn"}


@dataclass(frozen=True, slots=True)
class Publication:
    """What a caller publishes: on which topic, with which data.

    Attributes:
        topic: what the graph subscribes to.
        data: what the job gets.
        context: `{"metadata": {"trc": …, "spn": …}}`.
        extension: what it is given beside its data.
        request: by which the same publication is known again; None for one of its own.
    """

    topic: str
    data: Data | None = None
    context: Data | None = None
    extension: Extension = field(default_factory=Extension)
    request: UUID | None = None


class JobStarts:
    """Starts the jobs of one app.

    Args:
        app_id: the app.
        steps: starts them in a transaction each.
        road: starts many in one statement, where this process is an engine; else None.
        waiters: the calls that wait for an end.
        on_committed: called with what each commit has written.
    """

    def __init__(
        self,
        app_id: str,
        steps: GraphSteps,
        road: GraphRoad | None,
        waiters: EndWaiters[Finished],
        on_committed: Callable[[Written], None],
    ) -> None:
        self._app_id = app_id
        self._steps = steps
        self._road = road
        self._waiters = waiters
        self._on_committed = on_committed

    async def start(self, wanted: Publication, reply_to: tuple[str, ...] = ()) -> Job:
        """Start the graph that subscribes to a topic; its end is announced on `reply_to`."""
        topic, who = wanted.topic, f"the start of {wanted.topic!r}"
        given = check_fields("context", wanted.context or {}, who).get("metadata", {})
        metadata = check_fields("context.metadata", given, who)
        if unknown := sorted(metadata.keys() - _CONTEXT):
            raise ConfigurationError(
                f"context.metadata has unknown keys {unknown}; known are {sorted(_CONTEXT)}"
            )
        if topic.startswith("."):
            raise ConfigurationError(
                f"topic {topic!r} is private: it begins with a dot, so only activities start it"
            )
        with starting(f"JOB/{self._app_id}/{topic}/1", metadata) as (trace, note):
            start = Start(
                self._app_id,
                topic,
                check_fields("data", wanted.data or {}, who),
                {**metadata, **trace},
                reply_to,
                extension=wanted.extension,
                request=wanted.request or new_request(),
                named=wanted.request is not None,
            )
            job = await self._begun(start)
            note("app.job.jid", job.jid)
        return job

    async def run(self, wanted: Publication, limit: float) -> dict[str, Any]:
        """Start a graph and wait for its end, for so many seconds: `{"metadata", "data"}`."""
        job = await self.start(wanted, (self._waiters.channel,))
        self._waiters.started(job.run_id)
        try:
            job, plan, now = await self._waiters.wait(job.run_id, limit)
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
        """Have a pending job begin, or what a running one has put aside delivered again."""
        _, written = await self._steps.resume(self._app_id, job_id)
        self._on_committed(written)

    async def _begun(self, start: Start) -> Job:
        if self._road is not None:
            return await self._road.start(start)
        job, written = await self._steps.start(start)
        self._on_committed(written)
        return job
