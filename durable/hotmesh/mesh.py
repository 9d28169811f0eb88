"""`HotMesh`: deploy apps, start their graphs, signal, interrupt and look at jobs."""

from __future__ import annotations

import asyncio
import random
import weakref
from collections.abc import Awaitable, Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self

from durable.descriptor.plan import Plan
from durable.engine.completion import Jobs
from durable.engine.interpreter import Interpreter
from durable.engine.job import Job
from durable.engine.signals import Signals
from durable.engine.statistics import Statistics
from durable.engine.steps.graph_road import GraphRoad, Here
from durable.engine.steps.graph_steps import GraphSteps
from durable.engine.steps.graph_writes import Written
from durable.engine.steps.resolving import EscalationSteps
from durable.engine.timers import Timers
from durable.engine.versions import Versions
from durable.errors import ConfigurationError
from durable.hotmesh.asking import Asking
from durable.hotmesh.breaking import Breaking
from durable.hotmesh.engines import EngineLoop
from durable.hotmesh.escalations import Escalations
from durable.hotmesh.finding import Finding
from durable.hotmesh.governing import Governor, Loop
from durable.hotmesh.holding import Holding
from durable.hotmesh.patterns import Listening, Patterns
from durable.hotmesh.ruling import Ruling
from durable.hotmesh.seating import Seating
from durable.hotmesh.settings import (
    MeshSettings,
    WorkerSettings,
    mesh_settings,
    worker_settings,
)
from durable.hotmesh.signalling import Signalling
from durable.hotmesh.starting import Starting
from durable.hotmesh.subscriptions import Subscriptions, published, topics_of
from durable.hotmesh.waiting import JobWaiters
from durable.hotmesh.wiring import Wiring
from durable.hotmesh.workers import WorkerLoop
from durable.protocol import channels
from durable.protocol.durations import Duration, seconds
from durable.protocol.ids import new_id
from durable.streams.graph_messages import WorkStream, work_stream
from durable.streams.membership import Membership
from durable.streams.pacing import Pace
from durable.telemetry.spans import made

Data = Mapping[str, Any]
Output = dict[str, Any]


class Stopping(Protocol):
    """What `stop` is, of a mesh and of the class."""

    def __call__(self, grace: Duration = 10) -> Awaitable[None]:
        """Stop, with so much time for what callbacks have begun."""
        ...


class _Stop:
    """One name for two methods: `mesh.stop()` stops a mesh, `HotMesh.stop()` all of them."""

    def __get__(self, mesh: HotMesh | None, owner: type[HotMesh]) -> Stopping:
        return owner._stop_all if mesh is None else mesh._stop  # noqa: SLF001 - of the same class


class HotMesh(Starting, Ruling, Finding, Listening, Signalling, Asking, Breaking):
    """One app of a graph engine on Postgres, as this process takes part in it.

    Made by `init`; `stop` ends it, and so does the end of an `async with`. It ends by itself where
    one of its own tasks breaks for good: then `broken` says by what, and so does `async with`.

    Example:
        >>> mesh = await HotMesh.init(  # doctest: +SKIP
        ...     app_id="calc",
        ...     engine={"connection": "postgresql://localhost/app"},
        ...     workers=[{"topic": "add", "callback": add}],
        ... )
        >>> await mesh.deploy("calc.yaml")  # doctest: +SKIP
        >>> await mesh.activate("1")  # doctest: +SKIP
        >>> (await mesh.pubsub("calculate", {"a": 1, "b": 2}))["data"]  # doctest: +SKIP
        {'result': 3}
    """

    disconnecting: ClassVar[bool] = False
    """Whether `HotMesh.stop()` was called, and no mesh was begun since."""
    # The one thing that outlives a mesh: `HotMesh.stop()` is documented to end them all.
    _living: ClassVar[weakref.WeakKeyDictionary[HotMesh, asyncio.AbstractEventLoop]] = (
        weakref.WeakKeyDictionary()
    )

    def __init__(self, settings: MeshSettings, wiring: Wiring) -> None:
        self.app_id = settings.app_id
        self.namespace = wiring.database.schema
        self.engine_id = settings.guid or new_id()
        self._settings = settings
        self._wiring = wiring
        self._versions = Versions(wiring.database)
        plans = self._versions.plans
        self._pace = Pace(self.engine_id)
        self._steps = GraphSteps(
            wiring.database, plans, settings.retry, random.random, self._pace, self._member
        )
        self._jobs = Jobs(wiring.database, plans)
        self._signals = Signals(wiring.database, self._wake_engine)
        self._statistics = Statistics(wiring.database, plans, self.app_id, self._wake_engine)
        self.escalations = Escalations(
            wiring.database,
            self.app_id,
            EscalationSteps(wiring.database, plans, settings.retry, random.random),
            self._told,
        )
        self._waiters = JobWaiters(self._jobs)
        self._channel = channels.waiter(self.namespace, new_id())
        self._subscriptions = Subscriptions(
            self.app_id, self.namespace, wiring.listener, self._jobs, self._versions
        )
        self._governor = Governor(wiring.database, self.app_id, self.engine_id, self._versions)
        self._patterns = Patterns(
            self.app_id,
            Subscriptions(self.app_id, self.namespace, wiring.listener, self._jobs, self._versions),
            self._versions,
            self._governor,
        )
        self._membership: Membership | None = None
        self._engine: EngineLoop | None = None
        self._road: GraphRoad | None = None
        self._holding: Holding | None = None
        self._retention = wiring.retention
        self._workers: dict[str, WorkerLoop] = {}
        self._stopped = False

    @classmethod
    async def init(
        cls,
        config: Mapping[str, Any] | None = None,
        *,
        app_id: str | None = None,
        engine: Mapping[str, Any] | None = None,
        workers: Sequence[Mapping[str, Any]] | None = None,
        namespace: str | None = None,
        **more: Any,
    ) -> Self:
        """Connect, and take part in an app: as an engine, as workers, or both.

        Args:
            config: the options below as one dict. Each may be written as HotMesh does: `appId`,
                `logLevel`, `retryPolicy`.
            app_id: the app, as its document names it.
            engine: `{"connection": …, "retry": …, "retain": …}`. With it, this process moves jobs
                on. The connection is a DSN, a `Client`, an asyncpg pool (which stays the caller's
                to close) or `{"class": …, "options": {"connectionString": …}}`, whose class is not
                looked at; `retry` is the policy of work for which neither activity nor
                worker has one; `retain` is for how long an expired job stays readable before it is
                deleted: one duration, a `RetentionPolicy`, or None for ever. It is stored, and
                holds for the app until another is given (10 minutes if none ever was).
                `"readonly": True`: starts, signals and looks at jobs, and leaves them to others.
            workers: each `{"topic": …, "callback": …, "retry": …, "concurrency": …}`. A callback is
                an async function; it gets `{"metadata": …, "data": …}` and returns `{"data": …}`,
                with `code` or `status` if it is not simply done. What it raises is tried again as
                `retry` says.
            namespace: the Postgres schema; "durable", or that of the client, unless given.
            more: `guid`, by which others name this process (a fresh one unless given), `log_level`
                of the logger "durable", and `direct_dsn`, a way round a pooler in transaction mode,
                as `durable.connect` has it (or `directDsn` of the connection's options).
                `reclaim_delay`, `reclaim_count` and
                `task_queue`, here or of engine and workers, are taken and have no effect: who is
                gone is missed within seconds.

        Raises `ConfigurationError` for options that make no sense, `DatabaseError` when there is no
        database.

        Example:
            async def sort(message):
                return {"data": {"team": "money" if "bill" in message["data"]["text"] else "help"}}

            mesh = await durable.HotMesh.init(
                app_id="desk",
                engine={"connection": client},
                workers=[{"topic": "sort", "callback": sort}],
            )
        """
        given = {"app_id": app_id, "engine": engine, "workers": workers, "namespace": namespace}
        settings = mesh_settings(config, {**given, **more})
        wiring = await Wiring.open(
            settings.connection,
            settings.namespace,
            migrates=settings.engine,
            direct=settings.direct,
        )
        mesh = cls(settings, wiring)
        HotMesh.disconnecting = False
        HotMesh._living[mesh] = asyncio.get_running_loop()
        try:
            if settings.retain is not None:
                await wiring.retention.keep(settings.retain, settings.app_id)
            await mesh._begin()
        except BaseException:
            await mesh.stop()
            raise
        return mesh

    async def _begin(self) -> None:
        listener = self._wiring.listener
        await listener.listen(self._channel, self._waiters.heard)
        membership = await self._wiring.join(
            self.app_id,
            busy=lambda: any(w.busy for w in self._workers.values()),
            on_lost=self._lost,
            on_joined=self._joined,
        )
        engine = None
        if self._settings.engine:
            interpreter = Interpreter(
                self._steps, self.app_id, self._told, self._pace, self._governor.duress.felt
            )
            timers = Timers(self._wiring.database, self._pace)
            self._engine = EngineLoop(interpreter, timers, self.app_id, self._pace)
            self._engine.retry = self._settings.retry
            self._engine.on_broken = self._break
            self._road = self._engine.road = self._make_road(membership)
            engine = interpreter, self._road
            membership.silence.watch(*self._road.pulses)
            await listener.listen(channels.engine(self.namespace, self.app_id), self._engine.wake)
        self._membership = membership
        membership.on_broken = self._break
        self._holding = Holding(membership, self._workers, engine)
        self._holding.start()
        for worker in self._settings.workers:
            await self._add_worker(worker, membership)
        loops: list[Loop] = [*self._workers.values()]
        await self._governor.open(listener, self._wiring.notifier)
        await self._governor.join(
            membership.id, loops if self._engine is None else [self._engine, *loops]
        )
        if self._engine is not None:
            self._engine.start()
        for loop in self._workers.values():
            loop.start()

    def _make_road(self, membership: Membership) -> GraphRoad:
        here = Here(
            self._versions.at_hand,
            self._settings.retry,
            random.random,
            Seating(self._workers),
            self._told,
            self._pace.consumer,
            membership.clock,
            self._governor.duress.felt,
            self._governor.duress.rest,
        )
        return GraphRoad(self._wiring.database, self.app_id, self._steps, here)

    async def serve(self, options: Data | None = None, **more: Any) -> None:
        """Serve one more topic from now on, as `workers` of `init` do from the beginning.

        Args:
            options: topic, callback, retry, concurrency.
            more: the same options, as keywords.

        Raises `ConfigurationError` for options that make no sense, for a topic that this mesh
        serves already, and after `stop`.

        Example:
            async def thank(message):
                return {"data": {}}

            await mesh.serve(topic="thank", callback=thank, concurrency=5)
        """
        settings = worker_settings({**(options or {}), **more})
        if self._membership is None or self._stopped:
            raise ConfigurationError("this HotMesh has stopped, and serves no topic any more")
        loop = await self._add_worker(settings, self._membership)
        await self._governor.admit(self._membership.id, loop)
        loop.start()

    async def _add_worker(self, worker: WorkerSettings, membership: Membership) -> WorkerLoop:
        name = work_stream(self.app_id, worker.topic)
        if name in self._workers:
            raise ConfigurationError(
                f"two workers serve topic {worker.topic!r}: one of them is enough"
            )
        pace = Pace(new_id())
        stream = WorkStream(self._wiring.database, self.app_id, worker.topic, worker.retry, pace)
        loop = WorkerLoop(worker, stream, membership, self._wake_engine, pace)
        loop.road = self._road
        loop.on_broken = self._break
        self._workers[name] = loop
        await self._wiring.listener.listen(channels.queue(self.namespace, name), loop.wake)
        return loop

    def _member(self) -> int:
        """As which member this process reserves messages; 0 before it has joined, or joins anew."""
        return 0 if self._membership is None else self._membership.id

    def _lost(self) -> None:
        """This process was declared dead: what it runs is no longer its own."""
        for worker in self._workers.values():
            worker.abandon()

    def _joined(self, member: int) -> None:
        """It is a new member, and may take work again."""
        self._governor.rejoin(member)
        for worker in self._workers.values():
            worker.wake()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.stop()
        self._raise_broken(error)

    @staticmethod
    def guid() -> str:
        """A fresh id for a job.

        Example:
            print(len(durable.HotMesh.guid()))
            # → 32
        """
        return new_id()

    stop = _Stop()

    @classmethod
    async def _stop_all(cls, grace: Duration = 10) -> None:
        """Take no more messages, let callbacks finish for `grace`, give the rest back, leave.

        `HotMesh.stop()`, of the class, stops every mesh that this event loop runs; from then on
        `HotMesh.disconnecting` is True until the next one begins.

        Example:
            await mesh.stop(grace="5 seconds")
        """
        HotMesh.disconnecting = True
        loop = asyncio.get_running_loop()
        ours = [mesh for mesh, home in HotMesh._living.items() if home is loop]
        await asyncio.gather(*(mesh.stop(grace) for mesh in ours))

    async def _stop(self, grace: Duration = 10) -> None:
        """Take no more messages, let callbacks finish for `grace`, give the rest back, leave."""
        self._wiring.database.home.check("mesh.stop()")
        if self._stopped:
            return
        self._stopped = True
        HotMesh._living.pop(self, None)
        for worker in self._workers.values():
            await worker.stop(seconds(grace))
        if self._road is not None:
            await self._road.close()
        if self._engine is not None:
            await self._engine.stop()
        if self._holding is not None:
            self._holding.stop()
        await self._governor.leave()
        await self._subscriptions.close()
        await self._patterns.close()
        await self._waiters.close()
        await self._wiring.close()

    # --- telling others --------------------------------------------------------------------------

    def _told(self, written: Written) -> None:
        """After a commit: wake whom it concerns, here by a call and elsewhere by a notification."""
        notify = self._wiring.notifier.notify
        made(written.legs)
        for stream in written.streams:
            worker = self._workers.get(stream)
            if worker is not None:
                worker.wake()
            if worker is None or worker.free <= 0:
                notify(channels.queue(self.namespace, stream), "worker")
        if written.sent:
            self._wake_engine()
        for emission, job, plan in written.emitted:
            self._publish(job, plan, emission)
        for job, plan in written.ended:
            for channel in job.reply_to:
                if channel == self._channel:
                    self._waiters.ended(job, plan)
                else:
                    notify(channel, str(job.run_id))
            self._publish(job, plan, job.run_id)

    def _publish(self, job: Job, plan: Plan, number: int) -> None:
        """Tell subscribers of a run that ended, or of an emission."""
        for topic in topics_of(job, plan):
            channel = published(self.namespace, self.app_id, topic)
            self._wiring.notifier.notify(channel, str(number))

    def _wake_engine(self) -> None:
        if self._engine is not None:
            self._engine.wake()
        else:
            self._wiring.notifier.notify(channels.engine(self.namespace, self.app_id))
