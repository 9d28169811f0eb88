"""From the outside world to an activity that waits: signals, and further answers."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from durable.engine.effects import Reply
from durable.engine.steps.graph_routing import Rules
from durable.engine.steps.graph_rows import given_text
from durable.errors import JobNotFound
from durable.postgres.database import Database
from durable.postgres.retries import CALLER_TIMEOUT, retry_until_connected
from durable.protocol.codes import NOT_FOUND
from durable.protocol.ids import new_request
from durable.protocol.messages import MessageKind
from durable.store.apps import AppStore
from durable.store.graph_messages import EngineStream, Sent


class Signals:
    """Sends what comes from outside to the engines of an app.

    Each is sent again when the connection breaks, under a request id that is unique in the stream:
    that of the caller, or one of its own.

    Args:
        on_sent: called when a message has been sent to them.
    """

    def __init__(self, database: Database, on_sent: Callable[[], None] = lambda: None) -> None:
        self._db = database
        self._on_sent = on_sent
        self._rules = Rules(AppStore(database.schema))
        self._stream = EngineStream(database.schema)

    async def send(self, app_id: str, topic: str, reply: Reply, request: UUID | None = None) -> int:
        """Signal a topic; the message's id. It wakes a waiter, or is stored until one comes.

        Raises `ConfigurationError` for a topic without a hook in the app, and for data without
        the values that the hooks' rules compare.
        """
        message, own = (
            Sent(app_id, MessageKind.WEBHOOK, given_text(reply), topic=topic),
            request or new_request(),
        )

        async def send() -> int:
            """Send it, once or again."""
            async with self._db.connection() as connection, connection.transaction():
                await self._rules.keys(connection, app_id, [(topic, reply.data)])
                return await self._stream.send_once(connection, message, own)

        sent = await retry_until_connected(send, host=False, limit=CALLER_TIMEOUT)
        self._on_sent()
        return sent

    async def answer(
        self,
        app_id: str,
        jid: str,
        at: tuple[str, str],
        reply: Reply,
        request: UUID | None = None,
    ) -> int:
        """Answer an open activity (its id and dimension) of a running job; the message's id.

        Raises `JobNotFound` unless the job is running.
        """
        text, own = given_text(reply), request or new_request()

        async def answer() -> int | None:
            """Send it, once or again."""
            async with self._db.connection() as connection:
                return await self._stream.add(connection, (app_id, jid), at, text, own)

        found = await retry_until_connected(answer, host=False, limit=CALLER_TIMEOUT)
        if found is None:
            raise JobNotFound(f"Job {jid} not found, or it has ended", code=NOT_FOUND, job_id=jid)
        self._on_sent()
        return found
