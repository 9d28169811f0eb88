"""This process's part in the quorum: it answers for its engine and workers, and asks the others."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from durable.engine.job import encode
from durable.engine.versions import Versions
from durable.errors import ConfigurationError, DatabaseError
from durable.postgres.listen import Listener, Notifier
from durable.postgres.pool import Database
from durable.protocol.clock import to_datetime
from durable.quorum.activation import activate
from durable.quorum.bus import Bus, Message
from durable.quorum.commands import Throttle
from durable.quorum.duress import Duress
from durable.quorum.roster import Consumer, Roster
from durable.quorum.surroundings import surroundings
from durable.quorum.throttles import Throttles
from durable.runtime.supervision import Tasks
from durable.streams.graph_messages import work_stream
from durable.streams.pacing import Pace
from durable.telemetry.logs import logger

QuorumSubscriber = Callable[[str, dict[str, Any]], Awaitable[None] | None]

CONFIRMATION = (0.5, 0.5)  # seconds that consumers have to say that they have heard of a throttle


class Loop(Protocol):
    """An engine (its topic is None) or a worker of this process."""

    topic: str | None
    pace: Pace

    def wake(self, _payload: str = "") -> None:
        """Have it look again."""
        ...

    async def settled(self) -> None:
        """Return when it does not claim at this moment."""
        ...

    def profile(self) -> dict[str, Any]:
        """What only this process knows of it."""
        ...


class Governor:
    """The quorum of one app, as one process takes part in it and asks it.

    Args:
        guid: by which others name this process.
    """

    def __init__(self, database: Database, app_id: str, guid: str, versions: Versions) -> None:
        self._db = database
        self._app_id = app_id
        self._versions = versions
        self._loops: dict[str, Loop] = {}
        self._roster = Roster(database, app_id)
        self._throttles = Throttles(database)
        self._bus = Bus(database, app_id, guid, self._heard)
        self._subscribers: list[QuorumSubscriber] = []
        self._tasks = Tasks(f"the quorum of {app_id!r}", _nobody)
        self._joining: asyncio.Task[None] | None = None
        self.duress = Duress(guid, self._tell_others, time.monotonic)
        self._telling: set[asyncio.Task[Any]] = set()

    async def open(self, listener: Listener, notifier: Notifier) -> None:
        """Begin to hear the others."""
        await self._bus.open(listener, notifier)

    async def join(self, member_id: int, loops: list[Loop]) -> None:
        """Take part with these, as long as this member lives."""
        self._loops = {loop.pace.consumer: loop for loop in loops}
        for loop in loops:
            loop.pace.duress = self.duress.rest
        await self._enter(member_id)

    async def admit(self, member_id: int, loop: Loop) -> None:
        """Take part with one more."""
        self._loops[loop.pace.consumer] = loop
        loop.pace.duress = self.duress.rest
        await self._enter(member_id)

    def rejoin(self, member_id: int) -> None:
        """This process is another member now."""
        self._joining = self._tasks.once("join the quorum", lambda: self._enter(member_id))

    async def _enter(self, member_id: int) -> None:
        await self._roster.join(member_id, [(g, loop.topic) for g, loop in self._loops.items()])

    async def leave(self) -> None:
        """Take part no more."""
        if self._joining is not None:
            self._joining.cancel()
        for task in list(self._telling):
            task.cancel()
        await self._bus.close()
        if self._loops:
            await self._roster.leave(self._loops)

    # --- what others ask -------------------------------------------------------------------------

    async def _heard(self, message: Message) -> Mapping[str, Message]:
        if not message.get("guid") or message["guid"] in self._loops:
            for subscriber in list(self._subscribers):
                await self._tell(subscriber, dict(message))
        match message.get("type"):
            case "ping":
                here = {**self.duress.profile(), "system": surroundings()}
                return {guid: {**loop.profile(), **here} for guid, loop in self._loops.items()}
            case "duress":
                self.duress.heard(message)
            case "throttle":
                return dict([a async for a in self._slowed()])
            case "activate" if message["cache_mode"] == "nocache":
                return await self._ready(message["until_version"])
        return {}

    def _tell_others(self, message: dict[str, Any]) -> None:
        """Say something without waiting for it; who is in duress has other things to wait for."""
        task = asyncio.get_running_loop().create_task(self._post(message), name="hotmesh duress")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _post(self, message: dict[str, Any]) -> None:
        try:
            await self._bus.post(message)
        except DatabaseError as error:
            logger.warning("the quorum of %r was not told of duress: %s", self._app_id, error)

    async def _tell(self, subscriber: QuorumSubscriber, message: dict[str, Any]) -> None:
        """One subscriber's failure is its own: it is logged."""
        task = asyncio.ensure_future(_called(subscriber, message))
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a subscriber of the quorum failed: %s", error, exc_info=error)

    async def _slowed(self) -> AsyncIterator[tuple[str, Message]]:
        """Have each consumer find its throttle; who is paused says so when it claims no more."""
        for consumer in await self._roster.present():
            loop = self._loops.get(consumer.guid)
            if loop is not None:
                loop.pace.set(consumer.throttle)
                loop.wake()
                if consumer.throttle < 0:
                    await loop.settled()
                yield consumer.guid, {"throttle": consumer.throttle}

    async def _ready(self, version: str) -> dict[str, Message]:
        """Whether the engine of this process can run a version; it has its plans then."""
        answer: Message = {"ready": version}
        try:
            async with self._db.connection() as connection:
                await self._versions.plans(connection, self._app_id, version)
        except ConfigurationError as error:
            answer = {"problem": str(error)}
        return {guid: answer for guid, loop in self._loops.items() if loop.topic is None}

    # --- what we ask -----------------------------------------------------------------------------

    async def activate(self, version: str, delay: float) -> None:
        """Switch the app to a version; see `durable.quorum.activation.activate`."""
        await activate(
            self._bus,
            self._roster,
            version,
            delay,
            lambda: self._versions.activate(self._app_id, version),
        )

    async def active_version(self) -> str | None:
        """The version on which jobs start now, None before the first was activated."""
        return await self._versions.active_version(self._app_id)

    async def throttle(self, throttle: Throttle) -> bool:
        """Store a throttle, and wait until those whom it concerns have heard of it."""
        if throttle.target != "guid":
            return await self._slow(throttle)
        named = await self._named(throttle)
        return all([await self._slow(replace(throttle, name=c.guid, of=None)) for c in named])

    async def _named(self, throttle: Throttle) -> list[Consumer]:
        """Those whom a guid means: that consumer, or of its process the workers of a topic."""
        present = await self._roster.present()
        found = [c for c in present if c.guid == throttle.name]
        if throttle.of is not None:
            processes = {c.member_id for c in found if c.topic is None}
            found = [
                c
                for c in {*found, *(c for c in present if c.member_id in processes)}
                if c.topic == throttle.of
            ]
        if not found:
            what = "" if throttle.of is None else f" that serves topic {throttle.of!r}"
            raise ConfigurationError(
                f"no engine or worker of app {self._app_id!r}{what} has the guid {throttle.name!r};"
                " roll_call() lists them as engine_id"
            )
        return found

    async def _slow(self, throttle: Throttle) -> bool:
        await self._throttles.set(self._app_id, throttle)
        called = await self._bus.call(
            throttle.message(),
            lambda c: throttle.concerns(c.guid, c.topic),
            CONFIRMATION,
        )
        for consumer in called.silent:
            logger.warning(
                "%s has not confirmed throttle %d: it holds from its next claim on",
                consumer,
                throttle.milliseconds,
            )
        return not called.silent

    async def roll_call(self, delay: float) -> list[dict[str, Any]]:
        """A profile of each engine and worker that lives, whether it has answered or not."""
        called = await self._bus.call({"type": "ping", "details": True}, lambda _: True, [delay])
        topics = {c.topic for c in called.present if c.topic is not None}
        depths = await self._roster.depths(topics)
        return [
            {
                **self._described(consumer),
                "stream_depth": depths.get(consumer.topic, 0),
                "answered": consumer.guid in called.answers,
                "timestamp": to_datetime(consumer.seen_at).isoformat(),
                **called.answers.get(consumer.guid, {}),
            }
            for consumer in called.present
        ]

    def _described(self, consumer: Consumer) -> dict[str, Any]:
        topic = consumer.topic
        return {
            "namespace": self._db.schema,
            "app_id": self._app_id,
            "engine_id": consumer.guid,
            **({} if topic is None else {"worker_topic": topic}),
            "stream": self._app_id if topic is None else work_stream(self._app_id, topic),
            "throttle": consumer.throttle,
            "inited": to_datetime(consumer.joined_at).isoformat(),
            "host": consumer.host,
            "pid": consumer.pid,
        }

    async def post(self, message: Message) -> None:
        """Say something to everybody."""
        kind = message.get("type")
        if not isinstance(kind, str) or kind in ("throttle", "activate", "duress"):
            raise ConfigurationError(
                f"a quorum message of type {kind!r} cannot be sent: give a type such as 'user';"
                " the rest is said by throttle(), activate() and engines in duress"
            )
        encode(dict(message), "the message to the quorum")
        await self._bus.post(message)

    def subscribe(self, subscriber: QuorumSubscriber) -> None:
        """Call `subscriber(topic, message)` for each message from now on."""
        self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: QuorumSubscriber) -> None:
        """Call it no more."""
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)


async def _called(subscriber: QuorumSubscriber, message: dict[str, Any]) -> None:
    result = subscriber(message.get("topic") or message.get("guid") or "", message)
    if inspect.isawaitable(result):
        await result


def _nobody(_name: str, _error: BaseException) -> None:
    """It was logged as critical; a roll call shows who is missing."""
