"""Calls under a key: one runs at a time, and its result is served until its time is over.

The key is the id of the call's job, so that it is the database that lets one caller start and sends
the others to wait. A waiting caller is notified of the end, and also looks once a second, in case
the notification was lost.
"""

from __future__ import annotations

import asyncio
import contextlib

from durable.engine.job_queries import failure
from durable.errors import ConfigurationError, DuplicateJob, JobNotFound, JobTimeout
from durable.hotmesh.mesh import HotMesh
from durable.protocol.codes import TIMEOUT
from durable.protocol.graphs import Data, Fault, Output
from durable.telemetry.logs import logger

KEYED, CALLED = "keyed", "called"  # the graph, and what it publishes
LOOK = 1.0  # seconds


class KeyedCalls:
    """The keyed calls of one mesh."""

    def __init__(self, mesh: HotMesh) -> None:
        self._mesh = mesh
        self._waits: dict[str, asyncio.Task[Output | None]] = {}

    async def run(self, key: str, data: Data, limit: float) -> Output:
        """The job of a key: the one that there is, else one that is started now.

        A result is served again, an error is not: when the one that there is had failed already,
        another is started. Raises `JobFailed` and `JobTimeout`.
        """
        try:
            async with asyncio.timeout(limit):
                while True:
                    with contextlib.suppress(DuplicateJob):
                        return await self._mesh.pubsub(KEYED, data, timeout=limit)
                    job, was_over = await self._ended(key)
                    if job is None:
                        continue
                    error = job["metadata"].get("err")
                    if error is None:
                        return job
                    if not was_over:
                        raise failure(Fault.from_dict(error), key)
                    with contextlib.suppress(JobNotFound, ConfigurationError):  # gone, or runs anew
                        await self._mesh.scrub(key)
        except TimeoutError as error:
            raise _too_late(key, limit) from error

    async def forget(self, key: str, limit: float) -> bool:
        """Remove the result of a key, of a call that runs once it is there; False: there is none.

        So a later call is never served what was begun before. Raises `JobTimeout`.
        """
        try:
            async with asyncio.timeout(limit):
                while True:
                    try:
                        await self._mesh.scrub(key)
                    except JobNotFound:
                        return False
                    except ConfigurationError:  # it runs
                        await self._ended(key)
                    else:
                        return True
        except TimeoutError as error:
            raise _too_late(key, limit) from error

    async def close(self) -> None:
        """Stop; callers that still wait are cancelled."""
        for task in list(self._waits.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _ended(self, key: str) -> tuple[Output | None, bool]:
        """The job of a key once it has ended (None: it is gone), and whether it had before."""
        found = await self._look(key)
        if found is None or _is_over(found):
            return found, True
        task = self._waits.get(key)
        if task is None:
            task = self._waits[key] = asyncio.create_task(self._wait(key), name=f"virtual {key}")
            task.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(task), False

    def _done(self, key: str, task: asyncio.Task[Output | None]) -> None:
        self._waits.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.debug("the end of call %r is no longer awaited: %s", key, error)

    async def _wait(self, key: str) -> Output | None:
        notified = asyncio.Event()
        topic = f"{CALLED}.{key}"
        await self._mesh.sub(topic, lambda _topic, _job: notified.set())
        try:
            while (found := await self._look(key)) is not None and not _is_over(found):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await notified.wait()
                notified.clear()
        finally:
            await self._mesh.unsub(topic)
        return found

    async def _look(self, key: str) -> Output | None:
        try:
            return await self._mesh.get_state(KEYED, key)
        except JobNotFound:
            return None


def _is_over(job: Output) -> bool:
    return bool(job["metadata"]["js"] <= 0)


def _too_late(key: str, limit: float) -> JobTimeout:
    return JobTimeout(
        f"timeout: call {key!r} has not ended within {limit:g} s; it goes on",
        code=TIMEOUT,
        job_id=key,
    )
