"""What a mesh asks of an app's quorum: a throttle, a roll call, a message to all."""

from __future__ import annotations

from dataclasses import replace

from durable.engine.job import encode
from durable.errors import ConfigurationError
from durable.hotmesh.quorum.bus import Bus, Message
from durable.hotmesh.quorum.commands import Throttle
from durable.hotmesh.quorum.function_throttles import FunctionThrottle
from durable.hotmesh.quorum.roster import Consumer, Roster
from durable.hotmesh.quorum.throttles import Throttles
from durable.hotmesh.quorum.topics import check_topic
from durable.postgres.database import Database
from durable.protocol.clock import to_datetime
from durable.protocol.graphs import Output
from durable.store.announcer import Announcer
from durable.store.graph_messages import work_stream
from durable.telemetry.logs import logger

CONFIRMATION = (0.5, 0.5)  # seconds that consumers have to confirm a throttle


class QuorumCalls:
    """Asks the engines and workers of one app."""

    def __init__(
        self, database: Database, app_id: str, bus: Bus, roster: Roster, announcer: Announcer
    ) -> None:
        self._db = database
        self._schema = database.schema
        self._app_id = app_id
        self._bus = bus
        self._roster = roster
        self._announcer = announcer
        self._throttles = Throttles(database)

    async def throttle(self, throttle: Throttle) -> bool:
        """Store a throttle, and wait until all whom it concerns have confirmed it.

        Raises `ConfigurationError` for a guid, or a topic, that nothing of the app has.
        """
        if throttle.target == "topic":
            await check_topic(self._db, self._app_id, throttle.name)
        if throttle.target != "guid":
            return await self._set(throttle)
        named = await self._named(throttle)
        return all([await self._set(replace(throttle, name=guid, of=None)) for guid in named])

    async def _named(self, throttle: Throttle) -> list[str]:
        """Those whom a guid means: that consumer, or of its process the workers of a topic."""
        present = await self._roster.present()
        found = [c for c in present if c.guid == throttle.name]
        workers = await self._roster.function_workers()
        if throttle.name in {str(worker.member_id) for worker in workers}:
            if throttle.of is not None:
                raise ConfigurationError(
                    f"{throttle.name!r} is a worker of functions: throttle it as a whole by its"
                    f" guid, or {throttle.of!r} in all workers by the topic alone"
                )
            return [throttle.name]
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
        return [consumer.guid for consumer in found]

    async def _set(self, throttle: Throttle) -> bool:
        await self._throttles.set(self._app_id, throttle)
        workers = FunctionThrottle(self._roster, self._announcer, self._app_id, throttle)
        called = await self._bus.call(
            throttle.message(),
            lambda c: throttle.concerns(c.guid, c.topic),
            CONFIRMATION,
            workers.silent,
        )
        for consumer in called.silent:
            logger.warning(
                "%s has not confirmed throttle %d: it holds from its next claim on",
                consumer,
                throttle.milliseconds,
            )
        return not called.silent

    async def roll_call(self, delay: float) -> list[Output]:
        """A profile of each engine and worker that lives, whether it has answered or not."""
        return [*await self._consumers(delay), *await self._function_workers()]

    async def _function_workers(self) -> list[Output]:
        """Those of functions are known by their tables: they take no part in the quorum."""
        workers = await self._roster.function_workers()
        depth = await self._roster.due() if workers else 0
        return [
            {
                "namespace": self._schema,
                "app_id": self._app_id,
                "engine_id": str(worker.member_id),
                "stream": self._app_id,
                "stream_depth": depth,
                "throttle": worker.throttle,
                "inited": to_datetime(worker.joined_at).isoformat(),
                "host": worker.host,
                "pid": worker.pid,
                "version": worker.version,
                "runs": worker.runs,
                "answered": worker.answers,
                "timestamp": to_datetime(worker.seen_at).isoformat(),
            }
            for worker in workers
        ]

    async def _consumers(self, delay: float) -> list[Output]:
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

    def _described(self, consumer: Consumer) -> Output:
        topic = consumer.topic
        return {
            "namespace": self._schema,
            "app_id": self._app_id,
            "engine_id": consumer.guid,
            **({} if topic is None else {"worker_topic": topic}),
            "stream": self._app_id if topic is None else work_stream(self._app_id, topic),
            "throttle": consumer.throttle,
            "inited": to_datetime(consumer.joined_at).isoformat(),
            "host": consumer.host,
            "pid": consumer.pid,
        }

    async def post(self, message: Message) -> bool:
        """Send a message to all."""
        kind = message.get("type")
        if not isinstance(kind, str) or kind in ("throttle", "activate", "duress"):
            raise ConfigurationError(
                f"a quorum message of type {kind!r} cannot be sent: give a type such as 'user';"
                " the rest is said by throttle(), activate() and engines in duress"
            )
        encode(dict(message), "the message to the quorum")
        await self._bus.post(message)
        return True
