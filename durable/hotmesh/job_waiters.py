"""The calls that wait for a job's end, woken by the engine here, by notification, by a poll."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict

from durable.descriptor.plan import Plan
from durable.engine.completion import Jobs
from durable.engine.job import Job
from durable.errors import DatabaseError, InternalError, JobTimeout
from durable.protocol.codes import TIMEOUT
from durable.runtime.notifications import row_id
from durable.runtime.supervision import Tasks

POLL = 1.0  # seconds: what a lost notification costs at most
EARLY_MAX = 10_000  # ends that were told before anybody asked; those of `pub` nobody ever asks for

Ended = tuple[Job, Plan, float]


class JobWaiters:
    """The `pubsub` calls of one mesh that wait.

    Args:
        jobs: reads those that have ended.
        channel: on which ends are announced to this process alone.
    """

    def __init__(self, jobs: Jobs, channel: str) -> None:
        self.channel = channel
        self._jobs = jobs
        self._futures: dict[int, asyncio.Future[Ended]] = {}
        self._early: OrderedDict[int, Ended | None] = OrderedDict()
        self._looking: set[int] = set()
        self._tasks = Tasks("who waits for jobs", self._break)
        self._looker: asyncio.Task[None] | None = None
        self._poller: asyncio.Task[None] | None = None

    def ended(self, job: Job, plan: Plan) -> None:
        """A job ended here, in this process."""
        self._resolve(job.run_id, (job, plan, job.finished_at or 0.0))

    def heard(self, payload: str) -> None:
        """A notification: a run that ended, or "" when notifications may have been lost."""
        if not payload:
            for run_id in self._futures:
                self._look(run_id)
            return
        told = row_id(payload)
        if told in self._futures:
            self._look(told)
        elif told is not None and told not in self._early:
            self._remember(told, None)

    async def wait(self, run_id: int, jid: str, limit: float) -> Ended:
        """The job once it has ended; raises `JobTimeout` after `limit` seconds."""
        future: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._futures[run_id] = future
        if run_id in self._early:
            known = self._early.pop(run_id)
            if known is not None:
                self._resolve(run_id, known)
            else:
                self._look(run_id)
        if self._poller is None or self._poller.done():
            self._poller = self._tasks.keep("results", self._poll)
        try:
            async with asyncio.timeout(limit):
                return await future
        except TimeoutError:
            raise JobTimeout(
                f"timeout: job {jid} has not ended within {limit:g} s; it goes on",
                code=TIMEOUT,
                job_id=jid,
            ) from None
        finally:
            self._futures.pop(run_id, None)

    async def close(self) -> None:
        """Stop; who still waits is cancelled."""
        for task in (self._looker, self._poller):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        for future in self._futures.values():
            future.cancel()

    def _break(self, name: str, error: BaseException) -> None:
        """A bug of ours: who waits must not wait for ever."""
        broken = InternalError(f"the mesh's task {name!r} broke: {error}")
        for future in [f for f in self._futures.values() if not f.done()]:
            future.set_exception(broken)

    def _remember(self, run_id: int, ended: Ended | None) -> None:
        self._early[run_id] = ended
        if len(self._early) > EARLY_MAX:
            self._early.popitem(last=False)

    def _resolve(self, run_id: int, ended: Ended) -> None:
        future = self._futures.get(run_id)
        if future is None:
            self._remember(run_id, ended)
        elif not future.done():
            future.set_result(ended)

    def _look(self, run_id: int) -> None:
        self._looking.add(run_id)
        if self._looker is None or self._looker.done():
            self._looker = self._tasks.once("reading of results", self._read)

    async def _read(self) -> None:
        while self._looking:
            wanted, self._looking = self._looking, set()
            with contextlib.suppress(DatabaseError):  # the poll reads them again
                for job, plan, now in await self._jobs.read(wanted):
                    if job.finished_at is not None:
                        self._resolve(job.run_id, (job, plan, now))

    async def _poll(self) -> None:
        while self._futures:
            await asyncio.sleep(POLL)
            with contextlib.suppress(DatabaseError):
                for run_id in await self._jobs.ended_of(list(self._futures)):
                    self._look(run_id)
