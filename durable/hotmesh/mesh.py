"""`HotMesh`: deploy apps, start their graphs, signal, interrupt and look at jobs."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import MethodType
from typing import ClassVar, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from durable.hotmesh.composition import MeshParts, compose, open_resources
from durable.hotmesh.job_inspection import JobInspection
from durable.hotmesh.job_interrupts import JobInterrupts
from durable.hotmesh.job_removal import JobRemoval
from durable.hotmesh.job_signals import JobSignals
from durable.hotmesh.job_starts import JobStarts
from durable.hotmesh.quorum.commands import throttle_of
from durable.hotmesh.search import Search
from durable.hotmesh.settings import mesh_settings, worker_settings
from durable.hotmesh.subscribers import Subscriber
from durable.protocol.durations import Duration, seconds
from durable.protocol.graphs import Data, Output
from durable.protocol.ids import new_id

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


class Stopping(Protocol):
    """What `stop` is, of a mesh and of the class."""

    def __call__(self, grace: Duration = 10) -> Awaitable[None]:
        """Stop, with so much time for what callbacks have begun."""
        ...


class _Stop:
    """One name for two methods: `mesh.stop()` stops a mesh, `HotMesh.stop()` all of them."""

    def __get__(self, mesh: HotMesh | None, owner: type[HotMesh]) -> Stopping:
        return owner._stop_all if mesh is None else mesh._stop  # noqa: SLF001 - of the same class


class PartMethod(Generic[T, P, R]):
    """A public method of `HotMesh` that one of its parts has: bound to that of the mesh.

    Of the class it is the part's function, with its signature and docstring.
    """

    def __init__(
        self, part: Callable[[MeshParts], T], method: Callable[Concatenate[T, P], R]
    ) -> None:
        self._part = part
        self._method = method

    @overload
    def __get__(self, mesh: None, owner: type[HotMesh]) -> Callable[Concatenate[T, P], R]: ...

    @overload
    def __get__(self, mesh: HotMesh, owner: type[HotMesh]) -> Callable[P, R]: ...

    def __get__(self, mesh: HotMesh | None, owner: type[HotMesh]) -> Callable[..., R]:
        if mesh is None:
            return self._method
        return MethodType(self._method, self._part(mesh._parts))  # noqa: SLF001 - of the same class


class HotMesh:
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

    Attributes:
        app_id, namespace: the app, and the Postgres schema that it is in.
        engine_id: by which others name this process.
        escalations: what waits for a person.
    """

    disconnecting: ClassVar[bool] = False
    """Whether `HotMesh.stop()` was called, and no mesh was begun since."""
    # The one thing that outlives a mesh: `HotMesh.stop()` is documented to end them all.
    _living: ClassVar[weakref.WeakKeyDictionary[HotMesh, asyncio.AbstractEventLoop]] = (
        weakref.WeakKeyDictionary()
    )

    def __init__(self, parts: MeshParts) -> None:
        self.app_id = parts.app_id
        self.namespace = parts.namespace
        self.engine_id = parts.guid
        self.escalations = parts.escalations
        self._parts = parts

    @property
    def broken(self) -> BaseException | None:
        """What broke one of its own tasks for good; None while nothing has."""
        return self._parts.host.broken

    # --- taking part -----------------------------------------------------------------------------

    @classmethod
    async def init(
        cls,
        config: Data | None = None,
        *,
        app_id: str | None = None,
        engine: Data | None = None,
        workers: Sequence[Data] | None = None,
        namespace: str | None = None,
        **more: object,
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
                `task_queue`, here or of engine and workers, are taken and have no effect: a process
                that has died is noticed within seconds.

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
        return await cls._begun(compose(settings, await open_resources(settings)))

    @classmethod
    async def _begun(cls, parts: MeshParts) -> Self:
        mesh = cls(parts)
        HotMesh.disconnecting = False
        HotMesh._living[mesh] = asyncio.get_running_loop()
        try:
            await parts.host.begin()
        except BaseException:
            await mesh.stop()
            raise
        return mesh

    async def serve(self, options: Data | None = None, **more: object) -> None:
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
        await self._parts.host.serve(worker_settings({**(options or {}), **more}))

    # --- versions ---------------------------------------------------------------------------------

    async def plan(self, source: str | Path | Data) -> Output:
        """Read and check a document without storing it; the document as plain data.

        Args:
            source: as `deploy` takes it; the app may be any.

        Raises `DescriptorError` with a line per finding: line, path, what is wrong. What has no
        effect is logged as a warning, as `deploy` does.

        Example:
            document = await mesh.plan("desk.yaml")
            print(document["app"]["graphs"][0]["publishes"])
            # → ticket.closed
        """
        return self._parts.admin.plan(source)

    async def deploy(self, source: str | Path | Data) -> Output:
        """Check and store a version of this app; the document as plain data, `{"app": …}`.

        Nothing runs on it before `activate`. Deploying the same again changes nothing.

        Args:
            source: YAML text, a path to a file (whose `$ref`s may name others), or plain data.

        Beside a file the document is written with all `$ref`s resolved, as
        `.hotmesh.<id>.<version>.json`; where that cannot be written, a warning says so.

        Raises `DescriptorError` with a line per finding, and `ConfigurationError` for another app's
        document, or a version that was deployed with other content. Nothing is stored then.

        Example:
            document = await mesh.deploy("desk.yaml")
            print(document["app"]["version"])
            # → 1
        """
        return await self._parts.admin.deploy(source)

    async def activate(self, version: str | int, delay: Duration = 0.25) -> bool:
        """Switch the app to a deployed version; True. From now on every start runs on it.

        Every live engine is asked to make the version ready, and answers; then one commit switches
        them all. Jobs that run already end on the version on which they began. Two that activate
        at once both do so whole, one after the other.

        Args:
            version: as the document says it.
            delay: how long to wait for answers at first; the call is repeated twice, with twice
                and four times the patience. Dead engines are not waited for.

        Raises `ConfigurationError` for a version that is not deployed, and, naming them, when
        engines do not answer or cannot run the version. Nothing is switched then.

        Example:
            print(await mesh.activate("1"))
            # → True
        """
        return await self._parts.admin.activate(str(version), seconds(delay))

    async def active_version(self) -> str | None:
        """The version on which jobs start now; None as long as none was activated.

        Example:
            print(await mesh.active_version())
            # → 1
        """
        return await self._parts.admin.active_version()

    # --- jobs -------------------------------------------------------------------------------------

    pub = PartMethod(lambda parts: parts.starts, JobStarts.pub)
    pubsub = PartMethod(lambda parts: parts.starts, JobStarts.pubsub)
    resume = PartMethod(lambda parts: parts.starts, JobStarts.resume)
    hook = PartMethod(lambda parts: parts.signals, JobSignals.hook)
    add = PartMethod(lambda parts: parts.signals, JobSignals.add)
    hook_all = PartMethod(lambda parts: parts.signals, JobSignals.hook_all)
    interrupt = PartMethod(lambda parts: parts.interrupts, JobInterrupts.interrupt)
    get_status = PartMethod(lambda parts: parts.inspection, JobInspection.get_status)
    get_state = PartMethod(lambda parts: parts.inspection, JobInspection.get_state)
    export = PartMethod(lambda parts: parts.inspection, JobInspection.export)
    get_raw = PartMethod(lambda parts: parts.inspection, JobInspection.get_raw)
    query_state = PartMethod(lambda parts: parts.inspection, JobInspection.query_state)
    find = PartMethod(lambda parts: parts.search, Search.find)
    find_by_condition = PartMethod(lambda parts: parts.search, Search.find_by_condition)
    find_by_id = PartMethod(lambda parts: parts.search, Search.find_by_id)
    get_stats = PartMethod(lambda parts: parts.search, Search.get_stats)
    get_ids = PartMethod(lambda parts: parts.search, Search.get_ids)
    scrub = PartMethod(lambda parts: parts.removal, JobRemoval.scrub)
    prune = PartMethod(lambda parts: parts.removal, JobRemoval.prune)

    # --- ends of jobs -----------------------------------------------------------------------------

    async def sub(self, topic: str, callback: Subscriber) -> None:
        """Call `callback(topic, job)` for each job that ends from now on, or emits its state.

        Args:
            topic: what a graph `publishes`, or the name of a workflow, for all of its jobs; or that
                with ".<job id>" for one.
            callback: gets the topic that the graph publishes (without a job's id), and the job as
                `get_state` gives it. It may be async; what it raises is logged.

        Raises `ConfigurationError` for a topic that no graph of the active version publishes;
        before any version is active, every topic is taken.

        Example:
            heard = []

            async def closed(topic, job):
                heard.append(job["metadata"]["jid"])

            await mesh.sub("ticket.closed", closed)
        """
        await self._parts.subscriptions.add(topic, callback)

    async def unsub(self, topic: str) -> None:
        """End the subscriptions to a `topic`, as it was given to `sub`.

        Example:
            await mesh.unsub("ticket.closed")
        """
        await self._parts.subscriptions.remove(topic)

    async def psub(self, pattern: str, callback: Subscriber) -> None:
        """Call `callback(topic, job)` for each job that ends on a topic that fits from now on.

        In the pattern `*` stands for any characters, `?` for one, `[ab]` for one of these. It is
        compared with what graphs publish, and with that and ".<job id>": `order.*` fits
        `order.done`, and `*.42` the job 42 of any graph. Each pattern gets a job once.
        Topics that a later version brings, also the first, are heard from a moment after its
        activation.

        Example:
            await mesh.psub("ticket.*", closed)
        """
        await self._parts.patterns.add(pattern, callback)

    async def punsub(self, pattern: str) -> None:
        """End the subscriptions to a `pattern`, as it was given to `psub`.

        Example:
            await mesh.punsub("ticket.*")
        """
        await self._parts.patterns.remove(pattern)

    # --- engines and workers ----------------------------------------------------------------------

    async def roll_call(self, delay: Duration = 0.25) -> list[Output]:
        """A profile of each engine and worker of the app that is alive.

        Args:
            delay: how long to wait for answers.

        Each has namespace, app_id, engine_id (its guid), worker_topic (of a worker), stream,
        stream_depth (messages that wait), throttle (in force for it), inited, timestamp (when it
        was seen alive), host, pid, and `answered`: False for one that lives and did not answer in
        time. Who answers adds counts (what it has done, by code), error_count, retry (its policy),
        duress_level, duress_score_ms, duress_per_type, duress_throttle_ms (its rest between claims
        for duress) and system (memory and load); a worker adds how many callbacks are running, its
        concurrency, and the source of its callback (`signature`). A worker of functions on the task
        queue with the app's name has the `version` of the descriptor that it serves and `runs`, how
        many it holds; its engine_id is the number of its member.

        Example:
            profiles = await mesh.roll_call()
            print(sorted({profile["stream"] for profile in profiles}))
            # → ['desk', 'desk:sort', 'desk:thank']
        """
        return await self._parts.quorum_calls.roll_call(seconds(delay))

    async def throttle(self, options: Data | None = None, **more: object) -> bool:
        """Set how fast messages are claimed. It is stored, and holds until it is set again.

        Args:
            options: throttle (-1: pause; 0: resume; else the milliseconds between two claims, each
                of one message) and for whom: everybody unless given; guid (an `engine_id` of
                `roll_call`), topic (its workers), both (the workers of that topic which have that
                guid, or are in the process whose engine has it), or scope ("engines", "workers",
                "all").
            more: the same options, as keywords.

        The narrowest throttle that was set for a consumer applies, and setting a wide one ends the
        narrower ones within it. What callbacks have begun they finish; nothing else is held.

        Workers of functions on the task queue with the app's name are workers too: a pause has them
        take no turn and begin no activity, a delay has each claim one turn and one activity at a
        time. `topic` is the name of a workflow or an activity.

        Returns True when every live consumer concerned has confirmed: after a pause, that it claims
        no more. False: the ones that the log names have not, for whom it holds from their next
        claim on. Raises `ConfigurationError` for options that make no sense, and for a topic or
        guid that nothing of the app has; the error lists the topics known.

        Example:
            await mesh.throttle(throttle=-1, topic="sort")
            print(await mesh.throttle(throttle=0))
            # → True
        """
        wanted = throttle_of({**(options or {}), **more})
        return await self._parts.quorum_calls.throttle(wanted)

    async def pub_quorum(self, message: Data) -> bool:
        """Say something to every process of the app; True. It reaches who listens now.

        Args:
            message: plain data of any size with a `type`, "user" for instance; one with a `guid`
                goes to the subscribers in that engine's or worker's process only.

        Raises `ConfigurationError` without a type, or for one that a method sends; `PayloadError`
        for what JSON cannot hold.

        Example:
            await mesh.pub_quorum({"type": "user", "text": "lunch"})
        """
        return await self._parts.quorum_calls.post(message)

    async def sub_quorum(self, callback: Subscriber) -> None:
        """Call `callback(topic, message)` for everything that is said in the quorum from now on.

        `topic` is the message's own, else its guid, else empty. The callback may be async; what
        it raises is logged.

        Example:
            said = []

            def noted(topic, message):
                said.append(message["text"])

            await mesh.sub_quorum(noted)
        """
        self._parts.quorum.subscribe(callback)

    async def unsub_quorum(self, callback: Subscriber) -> None:
        """Call this callback no more.

        Example:
            await mesh.unsub_quorum(noted)
        """
        self._parts.quorum.unsubscribe(callback)

    # --- the end ---------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _at: object) -> None:
        await self.stop()
        if self.broken is not None and error is None:
            raise self.broken

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
        HotMesh._living.pop(self, None)
        await self._parts.host.stop(seconds(grace))
