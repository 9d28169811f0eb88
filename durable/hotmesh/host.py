"""What a mesh runs in this process: its membership, its engine and its workers; begun and ended."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from durable.composition import Resources
from durable.engine.job_queries import JobSnapshot
from durable.engine.steps.local_path import LocalPath
from durable.errors import ConfigurationError
from durable.hotmesh.breakage import Breakage
from durable.hotmesh.commit_announcements import EngineWake
from durable.hotmesh.engine_loop import EngineLoop
from durable.hotmesh.loop_watch import LoopWatch
from durable.hotmesh.pattern_subscriptions import PatternSubscriptions
from durable.hotmesh.quorum_member import Consumer, QuorumMember
from durable.hotmesh.served_topics import ServedTopics
from durable.hotmesh.settings import MeshSettings, WorkerSettings
from durable.hotmesh.subscriptions import Subscriptions
from durable.hotmesh.worker_loop import WorkerHost, WorkerLoop
from durable.protocol.ids import new_id
from durable.runtime import channels
from durable.runtime.end_waiters import EndWaiters
from durable.store.graph_messages import WorkStream, work_stream
from durable.store.membership import Membership
from durable.store.pacing import Pace


@dataclass(frozen=True, slots=True)
class Hosted:
    """The parts of a mesh that run.

    Attributes:
        membership: under whose id messages are reserved.
        topics: the worker loops.
        engine: the loop of the engine and its local path; None where others are the engines.
        wake: wakes the engines.
        watch: names what holds the event loop.
        quorum: answers for engine and workers.
        waiters: the calls that wait for the end of a job, and of a run of a function.
        subscriptions: those to topics.
        patterns: those to patterns of topics.
        breakage: what has broken one of the tasks.
    """

    membership: Membership
    topics: ServedTopics
    engine: tuple[EngineLoop, LocalPath] | None
    wake: EngineWake
    watch: LoopWatch
    quorum: QuorumMember
    waiters: tuple[EndWaiters[JobSnapshot], ...]
    subscriptions: Subscriptions
    patterns: PatternSubscriptions
    breakage: Breakage


class MeshHost:
    """Begins, serves and ends what one mesh runs in this process.

    Attributes:
        stopped: whether it has ended, or is about to.
    """

    def __init__(self, settings: MeshSettings, resources: Resources, parts: Hosted) -> None:
        self.stopped = False
        self._settings = settings
        self._resources = resources
        self._parts = parts
        self._started = False
        self._breaking: asyncio.Task[None] | None = None

    @property
    def broken(self) -> BaseException | None:
        """What has broken one of the tasks; None while nothing has."""
        return self._parts.breakage.error

    async def begin(self) -> None:
        """Join, and take work."""
        parts, listener = self._parts, self._resources.listener
        if self._settings.retain is not None:
            await self._resources.retention.keep(self._settings.retain, self._settings.app_id)
        for waiters in parts.waiters:
            await listener.listen(waiters.channel, waiters.on_notification)
        await parts.membership.join()
        self._breaking = asyncio.create_task(self._end_when_broken(), name="hotmesh breakage")
        if parts.engine is not None:
            parts.membership.silence.watch(*parts.engine[1].pulses)
            await listener.listen(parts.wake.channel, parts.wake)
        parts.watch.start()
        for worker in self._settings.workers:
            await self._add(worker)
        await parts.quorum.open(listener, self._resources.notifier)
        consumers: list[Consumer] = [*parts.topics]
        loop = None if parts.engine is None else parts.engine[0]
        await parts.quorum.join(
            parts.membership.id, consumers if loop is None else [loop, *consumers]
        )
        if loop is not None:
            loop.start()
        for worker_loop in parts.topics:
            worker_loop.start()
        self._started = True

    async def serve(self, worker: WorkerSettings) -> None:
        """Serve one more topic from now on."""
        if not self._started or self.stopped:
            raise ConfigurationError("this HotMesh has stopped, and serves no topic any more")
        loop = await self._add(worker)
        await self._parts.quorum.join(self._parts.membership.id, [loop])
        loop.start()

    async def _add(self, worker: WorkerSettings) -> WorkerLoop:
        parts, app_id = self._parts, self._settings.app_id
        stream_name = work_stream(app_id, worker.topic)
        pace = Pace(new_id(), parts.quorum.duress.rest)
        database = self._resources.database
        stream = WorkStream(database, app_id, worker.topic, worker.retry, pace)
        local = None if parts.engine is None else parts.engine[1]
        host = WorkerHost(parts.membership, parts.wake, parts.breakage.record, local)
        loop = WorkerLoop(worker, stream, pace, host)
        parts.topics.add(stream_name, loop)
        await self._resources.listener.listen(
            channels.queue(database.schema, stream_name), loop.wake
        )
        return loop

    async def _end_when_broken(self) -> None:
        await self._parts.breakage.wait()
        await self.stop(10)

    async def stop(self, grace: float) -> None:
        """Take no more messages, let callbacks finish for so many seconds, give the rest back."""
        self._resources.database.home.check("mesh.stop()")
        if self.stopped:
            return
        self.stopped = True
        parts = self._parts
        await parts.topics.stop(grace)
        if parts.engine is not None:
            loop, local = parts.engine
            await local.close()
            await loop.stop()
        parts.watch.stop()
        await parts.quorum.leave()
        await parts.subscriptions.close()
        await parts.patterns.close()
        for waiters in parts.waiters:
            await waiters.close()
        await parts.membership.leave()
        await self._resources.close()
        if self._breaking is not None and self._breaking is not asyncio.current_task():
            self._breaking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._breaking
