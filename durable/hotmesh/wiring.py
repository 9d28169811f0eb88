"""The connections of one mesh: a pool, a LISTEN connection, a notifier, and membership."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from durable.client.client import Client
from durable.engine.retention import Janitor, Retention
from durable.errors import ConfigurationError
from durable.postgres.address import Pool
from durable.postgres.listen import Listener, Notifier
from durable.postgres.migrate import migrate, require
from durable.postgres.pool import Database
from durable.postgres.sql import Statements
from durable.streams.announce import Announcer
from durable.streams.membership import Membership


class Wiring:
    """What a mesh is connected with."""

    def __init__(self, database: Database, listener: Listener) -> None:
        self.database = database
        self.listener = listener
        self._sql = Statements("durable.postgres", "sql/notify.sql", database.schema)
        self.notifier = Notifier(self._send)
        self._membership: Membership | None = None
        self.retention = Retention(database)
        self._janitor = Janitor(self.retention)

    @classmethod
    async def open(
        cls, connection: Any, namespace: str | None, *, migrates: bool, direct: str | None = None
    ) -> Wiring:
        """Connect, and bring the schema up to date; or make sure that it is.

        `direct`: a way round the pooler that a DSN or a pool goes through.
        """
        if isinstance(connection, Client):
            if direct is not None:
                raise ConfigurationError(
                    "a Client has its own direct way: give direct_dsn to durable.connect()"
                )
            schema = namespace or connection.namespace
            database = await Database.at(connection.ports.address, schema=schema)
        elif isinstance(connection, str):
            database = await Database.open(connection, schema=namespace or "durable", direct=direct)
        elif isinstance(connection, Pool):
            database = await Database.within(
                connection, schema=namespace or "durable", direct=direct
            )
        else:
            raise ConfigurationError(
                f"connection= is of type {type(connection).__name__!r}: give a DSN, a Client from"
                " durable.connect(), or an asyncpg pool"
            )
        try:
            await (migrate(database) if migrates else require(database))
            listener = Listener(database.address)
            await listener.start()
        except BaseException:
            await database.close()
            raise
        return cls(database, listener)

    async def _send(self, names: list[str], payloads: list[str]) -> None:
        await self.database.fetch(self._sql["notify"], names, payloads)

    async def join(
        self,
        name: str,
        busy: Callable[[], bool],
        on_lost: Callable[[], Any],
        on_joined: Callable[[int], Any],
    ) -> Membership:
        """Become a member, under whose id workers reserve messages."""
        announcer = Announcer(self.database.schema, self.listener, self.notifier)
        self._membership = Membership(
            self.database.address,
            self.database.schema,
            name,
            announcer,
            busy=busy,
            on_lost=on_lost,
            on_joined=on_joined,
            on_prune=self._janitor.due,
        )
        await self._membership.join()
        return self._membership

    async def close(self) -> None:
        """Leave, and close everything."""
        if self._membership is not None:
            await self._membership.leave()
        await self._janitor.close()
        await self.notifier.close()
        await self.listener.close()
        await self.database.close()
