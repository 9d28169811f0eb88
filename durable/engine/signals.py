"""From the outside world to an activity that waits: signals, and further answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from durable.engine.effects import Reply
from durable.engine.steps.graph_routing import Rules
from durable.engine.steps.graph_rows import reply_text
from durable.errors import JobNotFound
from durable.postgres.pool import Database
from durable.protocol.codes import NOT_FOUND
from durable.store.apps import AppStore
from durable.streams.graph_messages import EngineStream, Sent


class Signals:
    """Sends what comes from outside to the engines of an app.

    Args:
        told: called when something is on its way to them.
    """

    def __init__(self, database: Database, told: Callable[[], None] = lambda: None) -> None:
        self._db = database
        self._told = told
        self._rules = Rules(AppStore(database.schema))
        self._stream = EngineStream(database.schema)

    async def send(self, app_id: str, topic: str, reply: Reply) -> None:
        """Signal a topic. The signal wakes whoever waits for it, or is kept until somebody does.

        Raises `ConfigurationError` for a topic at which no hook of the app ever waits, and for data
        that lacks what the hooks' rules compare.
        """
        text = reply_text(reply)
        async with self._db.connection() as connection, connection.transaction():
            await self._rules.keys(connection, app_id, [(topic, reply.data)])
            await self._stream.send(connection, [Sent(app_id, "webhook", text, topic=topic)])
        self._told()

    async def answer(self, app_id: str, jid: str, at: tuple[str, str], reply: Reply) -> int:
        """Answer an open activity (its id and dimension) of a running job; the message's id.

        Raises `JobNotFound` when no such job runs.
        """
        text = reply_text(reply)
        async with self._db.connection() as connection:
            found: Any = await self._stream.add(connection, app_id, jid, at, text)
        if found is None:
            raise JobNotFound(f"Job {jid} not found, or it has ended", code=NOT_FOUND, job_id=jid)
        self._told()
        return int(found)
