"""`Virtual`: functions that are called by topic."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final, Self

from durable.errors import ConfigurationError, DuplicateJob
from durable.hotmesh.mesh import HotMesh
from durable.hotmesh.settings import CONCURRENCY, is_async
from durable.hotmesh.virtual.callbacks import EXPRESSIONS, INTERVALS, Function, planners, worker_of
from durable.hotmesh.virtual.calls import KEYED, KeyedCalls
from durable.hotmesh.virtual.context import VirtualContext, current
from durable.hotmesh.virtual.schedules import schedule_of
from durable.protocol.durations import Duration, seconds
from durable.protocol.graphs import Data, Output
from durable.protocol.limits import check_several
from durable.protocol.retry import RetryPolicy
from durable.telemetry.logs import logger

APP: Final = ".virtual"
CALL: Final = "call"  # graphs
SCHEDULE: Final = "schedule"
RETRY: Final = RetryPolicy(maximum_attempts=3, backoff_coefficient=2, maximum_interval=30)
FOR_EVER: Final = 2**53 - 1  # ticks: no schedule gets there
AT_ONCE: Final = 0.001  # seconds until the id of an interrupted schedule is free: 0 would be never

_TOPIC: Final = re.compile(r"[^\s{}.][^\s{}]{0,99}")


class Virtual:
    """Functions that are called by topic, cached by key, and scheduled.

    Made by `init`; `stop` ends it, and so does the end of an `async with`. Every process that has
    one also moves the calls and schedules of the namespace on.

    Example:
        >>> virtual = await Virtual.init(connection=client)  # doctest: +SKIP
        >>> await virtual.connect(topic="rate", callback=fetch_rate)  # doctest: +SKIP
        >>> await virtual.exec(topic="rate", args=["EUR"], id="EUR", ttl="1 h")  # doctest: +SKIP
        1.07
    """

    def __init__(self, mesh: HotMesh) -> None:
        self._mesh = mesh
        self._calls = KeyedCalls(mesh)
        self._functions: dict[str, tuple[Function, RetryPolicy | Data]] = {}

    @classmethod
    async def init(cls, *, connection: object, namespace: str | None = None) -> Self:
        """Connect; deploy and activate the app that calls and schedules run on, if need be.

        Args:
            connection: a DSN, or a `Client`.
            namespace: the Postgres schema; that of the client, or "durable", unless given.

        Raises `ConfigurationError` for options that make no sense, `DatabaseError` when there is no
        database.
        """
        mesh = await HotMesh.init(
            app_id=APP,
            namespace=namespace,
            engine={"connection": connection},
            workers=[{"topic": t, "callback": plan} for t, plan in planners().items()],
        )
        try:
            await _activate(mesh)
        except BaseException:
            await mesh.stop()
            raise
        return cls(mesh)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self, grace: Duration = 10) -> None:
        """Take no more calls, let callbacks finish for `grace`, give the rest back, leave."""
        await self._calls.close()
        await self._mesh.stop(grace)

    async def connect(
        self,
        *,
        topic: str,
        callback: Function,
        retry: RetryPolicy | Data = RETRY,
        concurrency: int = CONCURRENCY,
    ) -> None:
        """Have `callback` answer the calls and ticks of a topic in this process.

        Args:
            topic: up to 100 characters, no blanks or braces, not beginning with a dot.
            callback: an async function; what it takes and returns is plain data.
            retry: how often it is tried when it raises: 3 attempts, 2 and 4 seconds between them,
                unless given. What it raised last is raised for the caller.
            concurrency: how many calls it answers at once in this process.

        Connecting the same callback again changes nothing. Raises `ConfigurationError` for another
        one, or another policy, on a topic that is connected in this process.
        """
        _check_topic(topic)
        known = self._functions.get(topic)
        if known is not None:
            if known != (callback, retry):
                raise ConfigurationError(
                    f"topic {topic!r} is connected to {known[0]!r} in this process, and is to be"
                    f" connected to {callback!r}, or with another retry: one of them is enough"
                )
            return
        if not is_async(callback):
            raise ConfigurationError(
                f"topic {topic!r} needs an async function as its callback, not {callback!r}"
            )
        self._functions[topic] = (callback, retry)
        try:
            await self._mesh.serve(
                topic=topic, callback=worker_of(callback), retry=retry, concurrency=concurrency
            )
        except BaseException:
            self._functions.pop(topic)
            raise

    async def exec(
        self,
        *,
        topic: str,
        args: Sequence[object] = (),
        id: str | None = None,
        ttl: Duration | None = None,
        flush: bool = False,
        timeout: Duration = 30,  # noqa: ASYNC109 - the ancestor's argument
    ) -> Any:
        """Call the function of a topic, in whichever process it is connected; what it returns.

        Args:
            topic: the topic to which it is connected.
            args: its arguments: plain data.
            id: the key of the result within the topic. As long as a call with it runs, others wait
                for its result, in any process; afterwards they get it from memory for `ttl`.
            ttl: for how long a result is kept; needed with `id`, and pointless without.
            flush: forget what is kept, and call.
            timeout: how long to wait.

        Raises `JobFailed` when the function has failed for good; an error is never kept. Raises
        `JobTimeout`, code 504, when there is no result after `timeout`: no process is connected
        to the topic, or it takes longer. The call stands, and is answered once one connects.
        `PayloadError` for arguments that JSON cannot hold.
        """
        _check_topic(topic)
        limit = seconds(timeout)
        data: Output = {
            "topic": topic,
            "args": check_several("args", args, "virtual.exec()"),
        }
        if id is None:
            if ttl is not None or flush:
                raise ConfigurationError("ttl and flush are about the result of an id: give one")
            job = await self._mesh.pubsub(CALL, data, timeout=limit)
        else:
            key = _job_id(KEYED, topic, id)
            data |= {"id": key, "expire": _lasting(ttl)}
            clock = asyncio.get_running_loop().time
            end = clock() + limit
            if flush:
                await self.flush(topic=topic, id=id, timeout=limit)
            job = await self._calls.run(key, data, max(end - clock(), 0))
        return job["data"].get("response")

    async def flush(
        self,
        *,
        topic: str,
        id: str,
        timeout: Duration = 30,  # noqa: ASYNC109 - as for exec
    ) -> bool:
        """Forget the result that is kept under a key; False when there is none.

        The result of a call that runs is forgotten once it is there, so that a later call is
        never served what was begun before. Raises `JobTimeout` when that takes longer than
        `timeout`.
        """
        _check_topic(topic)
        return await self._calls.forget(_job_id(KEYED, topic, id), seconds(timeout))

    async def cron(  # noqa: PLR0913 - the options are public
        self,
        *,
        topic: str,
        id: str,
        interval: Duration,
        callback: Function | None = None,
        args: Sequence[object] = (),
        max_cycles: int | None = None,
        delay: Duration | None = None,
        time_zone: str = "UTC",
        retry: RetryPolicy | Data = RETRY,
    ) -> bool:
        """Call the function of a topic again and again, as long as any process lives to do it.

        Args:
            topic: the topic of the function.
            id: of the schedule, within the topic.
            interval: a duration, from tick to tick; or a cron expression of five fields, or six
                with seconds first, or "@daily" and the like.
            callback: the function, to connect it as `connect` does; None: others do.
            args: its arguments at each tick.
            max_cycles: how often it ticks at most; None: until it is interrupted.
            delay: how long nothing ticks at first. The first tick of an interval is due then, one
                interval from now unless given; that of an expression is the first one after it.
            time_zone: by whose clocks an expression goes, such as "Europe/Berlin".
            retry: with `callback`, its policy.

        Returns True when the schedule has begun. False when one of that id runs already: nothing
        changes then, and what it does otherwise is logged. To change one, interrupt it first.

        Each tick has one callback at a time, in one process, and the next tick waits for its end.
        What is missed, because that took long or no process lived, is made up for by one tick, at
        once; `get_context().tick` says which. A tick whose attempts have all failed is left as a
        dead letter, and the schedule goes on. What the callback returns is dropped.

        Raises `ConfigurationError` for options that make no sense.
        """
        _check_topic(topic)
        arguments = check_several("args", args, "virtual.cron()")
        schedule = schedule_of(interval, delay, time_zone)
        if max_cycles is not None and (isinstance(max_cycles, bool) or max_cycles < 1):
            raise ConfigurationError(f"max_cycles={max_cycles!r}: it must be 1 or more, or None")
        if callback is not None:
            await self.connect(topic=topic, callback=callback, retry=retry)
        job_id = _job_id(SCHEDULE, topic, id)
        definition = {**schedule.to_dict(), "args": arguments, "max_cycles": max_cycles}
        data = {
            "id": job_id,
            "topic": topic,
            "args": arguments,
            "definition": definition,
            "cycles": FOR_EVER if max_cycles is None else max_cycles,
            "planner": INTERVALS if schedule.expression is None else EXPRESSIONS,
        }
        return await self._begin(job_id, data)

    async def interrupt(self, *, topic: str, id: str) -> bool:
        """End a schedule; False when none of that id runs.

        No tick begins after this. A callback that runs in this moment is not stopped, and not tried
        again. The id is free at once.
        """
        _check_topic(topic)
        return await self._mesh.interrupt(
            SCHEDULE, _job_id(SCHEDULE, topic, id), suppress=True, expire=AT_ONCE
        )

    @staticmethod
    def get_context() -> VirtualContext:
        """What a callback can ask about its call or tick: topic, attempt, tick and more.

        Raises `ConfigurationError` outside of a callback.
        """
        return current()

    async def _begin(self, job_id: str, data: Data) -> bool:
        while True:
            with contextlib.suppress(DuplicateJob):
                await self._mesh.pub(SCHEDULE, data)
                return True
            running = await self._mesh.get_state(SCHEDULE, job_id)
            if running["metadata"]["js"] > 0:
                break
            await asyncio.sleep(AT_ONCE)  # it has just ended, and its id is about to be free
        if running["data"].get("definition") != data["definition"]:
            logger.warning(
                "%s goes on as it is, %s, and not as it is wanted now, %s:"
                " interrupt it first to have it changed",
                job_id,
                running["data"].get("definition"),
                data["definition"],
            )
        return False


async def _activate(mesh: HotMesh) -> None:
    """Have the app run on this version, unless a later one of durable has put a later one there.

    Two processes may do so at once: both deploy the same, and activate it one after the other.
    """
    text = (
        resources.files("durable.hotmesh.virtual").joinpath("app.yaml").read_text(encoding="utf-8")
    )
    version = (await mesh.plan(text))["app"]["version"]
    active = await mesh.active_version()
    if active is None or int(active) < int(version):
        await mesh.deploy(text)
        await mesh.activate(version)


def _check_topic(topic: str) -> None:
    if not isinstance(topic, str) or not _TOPIC.fullmatch(topic):
        raise ConfigurationError(
            f"topic={topic!r}: up to 100 characters, no blanks or braces, not beginning with a dot"
        )


def _job_id(graph: str, topic: str, given: str) -> str:
    """The id of a job; topics have no blank, so no two keys have the same."""
    if not isinstance(given, str) or not given:
        raise ConfigurationError(f"id={given!r}: it must be text, and not empty")
    return f"{graph} {topic} {given}"


def _lasting(ttl: Duration | None) -> float:
    lasting = 0.0 if ttl is None else seconds(ttl)
    if lasting <= 0:
        raise ConfigurationError(
            f"ttl={ttl!r}: with an id, say for how long its result is kept, such as '10 minutes'"
        )
    return lasting
