"""This process as a member of an app's quorum: it answers for its engine and its workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from durable.engine.versions import Versions
from durable.errors import ConfigurationError, DatabaseError
from durable.hotmesh.quorum.back_pressure import BackPressure
from durable.hotmesh.quorum.bus import Bus, Message
from durable.hotmesh.quorum.roster import Roster
from durable.hotmesh.quorum.surroundings import surroundings
from durable.hotmesh.subscribers import Subscriber, call_subscriber
from durable.postgres.database import Database
from durable.postgres.listener import Listener
from durable.protocol.graphs import Output
from durable.runtime.notifier import Notifier
from durable.runtime.supervision import Tasks
from durable.store.pacing import Pace
from durable.telemetry.logs import logger


class Consumer(Protocol):
    """An engine (its topic is None) or a worker of this process."""

    topic: str | None
    pace: Pace

    def wake(self, _payload: str = "") -> None:
        """Have it look again."""
        ...

    async def settled(self) -> None:
        """Return when it does not claim at this moment."""
        ...

    def profile(self) -> Output:
        """What only this process knows of it."""
        ...


class QuorumMember:
    """The quorum of one app, as one process takes part in it.

    Args:
        database: where the quorum's tables are.
        app_id: the app.
        guid: by which others name this process.
        versions: the versions of the app, which engines make ready.

    Attributes:
        bus: carries the messages of the quorum.
        roster: who takes part.
        duress: how overloaded the app's processes are.
    """

    def __init__(self, database: Database, app_id: str, guid: str, versions: Versions) -> None:
        self._db = database
        self._app_id = app_id
        self._versions = versions
        self._consumers: dict[str, Consumer] = {}
        self._subscribers: list[Subscriber] = []
        self._tasks = Tasks(f"the quorum of {app_id!r}", _logged)
        self._joining: asyncio.Task[None] | None = None
        self._posts: set[asyncio.Task[None]] = set()
        self.roster = Roster(database, app_id)
        self.bus = Bus(database, app_id, guid, self._answers)
        self.duress = BackPressure(guid, self._post_soon, time.monotonic)

    # --- taking part -----------------------------------------------------------------------------

    async def open(self, listener: Listener, notifier: Notifier) -> None:
        """Begin to listen to the others."""
        await self.bus.open(listener, notifier)

    async def join(self, member_id: int, consumers: Sequence[Consumer]) -> None:
        """Take part with these too, as long as this member lives."""
        self._consumers.update({consumer.pace.consumer: consumer for consumer in consumers})
        await self._enter(member_id)

    def rejoin(self, member_id: int) -> None:
        """This process is another member now."""
        self._joining = self._tasks.once("join the quorum", lambda: self._enter(member_id))

    async def _enter(self, member_id: int) -> None:
        entries = [(guid, consumer.topic) for guid, consumer in self._consumers.items()]
        await self.roster.join(member_id, entries)

    async def leave(self) -> None:
        """Take part no more."""
        if self._joining is not None:
            self._joining.cancel()
        for task in list(self._posts):
            task.cancel()
        await self.bus.close()
        if self._consumers:
            await self.roster.leave(self._consumers)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber(topic, message)` for each message from now on."""
        self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Call it no more."""
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)

    # --- answering -------------------------------------------------------------------------------

    async def _answers(self, message: Message) -> Mapping[str, Message]:
        """What the consumers of this process answer to a message, by guid."""
        if not message.get("guid") or message["guid"] in self._consumers:
            topic = message.get("topic") or message.get("guid") or ""
            for subscriber in list(self._subscribers):
                await call_subscriber(subscriber, topic, dict(message), "the quorum")
        match message.get("type"):
            case "ping":
                here = {**self.duress.profile(), "system": surroundings()}
                return {guid: {**c.profile(), **here} for guid, c in self._consumers.items()}
            case "duress":
                self.duress.heard(message)
            case "throttle":
                return dict([answer async for answer in self._throttled()])
            case "activate" if message["cache_mode"] == "nocache":
                return await self._ready(message["until_version"])
        return {}

    async def _throttled(self) -> AsyncIterator[tuple[str, Message]]:
        """Have each consumer read its throttle; a paused one answers when it claims no more."""
        for present in await self.roster.present():
            consumer = self._consumers.get(present.guid)
            if consumer is not None:
                consumer.pace.set(present.throttle)
                consumer.wake()
                if present.throttle < 0:
                    await consumer.settled()
                yield present.guid, {"throttle": present.throttle}

    async def _ready(self, version: str) -> dict[str, Message]:
        """Whether the engine of this process can run a version; it has its plans then."""
        answer: Message = {"ready": version}
        try:
            async with self._db.connection() as connection:
                await self._versions.plans(connection, self._app_id, version)
        except ConfigurationError as error:
            answer = {"problem": str(error)}
        return {guid: answer for guid, c in self._consumers.items() if c.topic is None}

    def _post_soon(self, message: Message) -> None:
        """Post a message without waiting for it: a process in duress has other things to do."""
        task = asyncio.get_running_loop().create_task(self._post(message), name="hotmesh duress")
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)

    async def _post(self, message: Message) -> None:
        try:
            await self.bus.post(message)
        except DatabaseError as error:
            logger.warning("the quorum of %r got no message about duress: %s", self._app_id, error)


def _logged(_name: str, _error: BaseException) -> None:
    """It was logged as critical; a roll call shows what is missing."""
