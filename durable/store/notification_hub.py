"""How a client or a mesh is woken and wakes others: LISTEN, notifications, announcements."""

from __future__ import annotations

from durable.postgres.database import Database
from durable.postgres.listener import NOTIFY, Listener
from durable.runtime.notifier import Notifier
from durable.store.announcer import Announcer


class NotificationHub:
    """The LISTEN connection of a client or mesh, and what it sends.

    Attributes:
        listener: its LISTEN connection.
        notifier: sends notifications after commits.
        announcer: says what a commit has brought.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = NOTIFY.load(database.schema)
        self.listener = Listener(database.address)
        self.notifier = Notifier(self._send)
        self.announcer = Announcer(database.schema, self.listener, self.notifier)

    @classmethod
    async def open(cls, database: Database) -> NotificationHub:
        """Listen. Raises `DatabaseError` where Postgres cannot be reached."""
        hub = cls(database)
        await hub.listener.start()
        return hub

    async def _send(self, names: list[str], payloads: list[str]) -> None:
        await self._database.fetch_past_gate(
            *self._sql.bind("notify", channels=names, payloads=payloads)
        )
