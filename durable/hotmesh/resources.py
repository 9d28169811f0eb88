"""What one mesh is connected with: a pool, a LISTEN connection, a notifier, and a janitor."""

from __future__ import annotations

from durable.client.client import Client
from durable.engine.retention import Janitor, Retention
from durable.errors import ConfigurationError
from durable.hotmesh.settings import MeshSettings
from durable.postgres.address import Pool
from durable.postgres.database import Database
from durable.postgres.migrator import migrate, require
from durable.store.notification_hub import NotificationHub


class Resources:
    """The connections of one mesh, opened together and closed together.

    Attributes:
        database: its pool, and where it connects.
        listener: its LISTEN connection.
        notifier: sends notifications after commits.
        announcer: tells members of what was freed.
        retention: deletes jobs.
        janitor: deletes what has expired, when it is this member's turn.
    """

    def __init__(self, database: Database, hub: NotificationHub) -> None:
        self.database = database
        self.listener = hub.listener
        self.notifier = hub.notifier
        self.announcer = hub.announcer
        self.retention = Retention(database)
        self.janitor = Janitor(self.retention)

    @classmethod
    async def open(cls, settings: MeshSettings) -> Resources:
        """Connect, and bring the schema up to date where there is an engine; else check it."""
        database = await _database(settings.connection, settings.namespace, settings.direct)
        try:
            await (migrate(database) if settings.engine else require(database))
            hub = await NotificationHub.open(database)
        except BaseException:
            await database.close()
            raise
        return cls(database, hub)

    async def close(self) -> None:
        """Close everything."""
        await self.janitor.close()
        await self.notifier.close()
        await self.listener.close()
        await self.database.close()


async def _database(connection: object, namespace: str | None, direct: str | None) -> Database:
    if isinstance(connection, Client):
        if direct is not None:
            raise ConfigurationError(
                "a Client has its own direct way: give direct_dsn to durable.connect()"
            )
        schema = namespace or connection.namespace
        return await Database.at(connection.services.address, schema=schema)
    schema = namespace or "durable"
    if isinstance(connection, str):
        return await Database.open(connection, schema=schema, direct=direct)
    if isinstance(connection, Pool):
        return await Database.within(connection, schema=schema, direct=direct)
    raise ConfigurationError(
        f"connection= is of type {type(connection).__name__!r}: give a DSN, a Client from"
        " durable.connect(), or an asyncpg pool"
    )
