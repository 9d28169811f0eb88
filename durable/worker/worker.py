"""The worker: claims what its queue holds, and runs it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import Self

from durable.errors import ConfigurationError
from durable.protocol.durations import Duration, seconds
from durable.protocol.limits import BIGINT_MAX, check_count, check_name
from durable.worker.registry import Defined, Registry
from durable.worker.started_worker import StartedWorker, WorkerEvents, WorkerOptions
from durable.worker.worker_services import HasServices


class Worker:
    """Takes turns of workflows and runs activities for one task queue, until it is stopped.

    Args:
        client: of `durable.connect`; the worker uses its database and namespace.
        workflows: functions decorated with `@workflow`.
        activities: functions decorated with `@activity`.
        task_queue: the queue to serve.
        max_activities: how many async activities may run at once.
        max_threads: how many plain (non-async) activities may run at once; 2 × cores unless given.
        max_runs: how many runs are held in memory; the least recently used are given back.
        max_bytes: how heavy they may be together.
        grace: how long a stop waits for running activities (seconds, `timedelta` or text).
        yield_timeout: how long code may hold the event loop; then all is given to other workers,
            and a run is suspended the tenth time.

    Example:
        >>> async with Worker(client, workflows=[fulfil], activities=[charge]):  # doctest: +SKIP
        ...     await handle.result()
    """

    def __init__(  # noqa: PLR0913 - the options that users know, each by its name
        self, client: HasServices, *, workflows: Iterable[Defined] = (),
        activities: Iterable[Defined] = (), task_queue: str = "default", max_activities: int = 1000,
        max_threads: int | None = None, max_runs: int = 10_000, max_bytes: int = 512 << 20,
        grace: Duration = 10, yield_timeout: Duration = 30,
    ) -> None:  # fmt: skip
        self.task_queue = check_name("task_queue", task_queue, "Worker()")
        check_count("max_activities", max_activities, "Worker()")
        check_count("max_runs", max_runs, "Worker()")
        check_count("max_bytes", max_bytes, "Worker()", most=BIGINT_MAX)
        if max_threads is not None:
            check_count("max_threads", max_threads, "Worker()")
        self._services = client.services
        self._registry = Registry.of(workflows, activities)
        self._options = WorkerOptions(
            max_activities, max_threads or 2 * (os.cpu_count() or 1), max_runs, max_bytes,
            seconds(grace), seconds(yield_timeout),
        )  # fmt: skip
        self._events = WorkerEvents()
        self._started: StartedWorker | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _at: object) -> None:
        await self.stop()
        if self._events.broken is not None and error is None:
            raise self._events.broken

    async def run(self) -> None:
        """Serve the queue until `stop` is called or this task is cancelled; then stop gracefully.

        Raises what broke one of the worker's own loops, should that ever happen.
        """
        await self.start()
        try:
            await self.ended()
        finally:
            await asyncio.shield(self.stop())
        if self._events.broken is not None:
            raise self._events.broken

    async def ended(self) -> None:
        """Return when the worker has begun to stop: `stop` was called, or it cannot go on."""
        await self._events.ending.wait()

    async def start(self) -> None:
        """Bring the schema up to date, join, deploy the generated descriptor, begin to claim."""
        if self._started is not None:
            raise ConfigurationError("this worker has been started already; make another one")
        self._registry.check()
        await self._services.migrate()
        deployed = await self._services.deployer.deploy(
            self.task_queue, list(self._registry.workflows.values()),
            list(self._registry.activities.values()),
        )  # fmt: skip
        self._started = StartedWorker(
            self._services, deployed, self._registry, self._options, self._events
        )
        await self._started.start()

    async def stop(self) -> None:
        """Claim nothing more, wait for running activities, give every run back, and leave.

        Returns after `grace` and at most five seconds more. Threads cannot be stopped: where one
        goes on, this process stays a member for its attempt alone, which no other worker runs
        meanwhile; its result is recorded when it ends. See `gone` and `leave_at_once`. A call while
        a stop is under way waits for the end of that.
        """
        if self._started is not None:
            await asyncio.shield(self._started.begin_stop())

    @property
    def lingering(self) -> bool:
        """Whether threads have gone on after `stop`, and have not ended."""
        return self._started is not None and self._started.detached

    async def gone(self) -> None:
        """After `stop`: return when threads that went on have ended, and this member has left."""
        if self._started is not None:
            membership = self._started.membership
            while not await asyncio.to_thread(membership.joined_within, 1.0):
                pass

    def leave_at_once(self, within: float = 1.0) -> bool:
        """Free what is held as of a process that died, from any thread; whether it was in time.

        Attempts that may not be repeated end as unknown.
        """
        return self._started is None or self._started.membership.leave_at_once(within)

    def on_stuck(self, callback: Callable[[], None]) -> None:
        """Have `callback()` called, on a thread, once all was given back: code blocks the loop.

        Without one the worker stays, and takes work again when its loop goes on.
        """
        self._events.on_stuck(callback)
