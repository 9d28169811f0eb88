"""The database as the other rooms see it: statements in, rows out, errors in our own words.

A `Database` wraps one asyncpg pool and one schema. A statement either ran or raised: nothing is
sent twice behind the caller's back, because only the caller knows whether that is harmless. Who
does know uses `retry_until_connected`, which waits out a restart of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from durable.errors import DatabaseError
from durable.postgres.address import Address, Pool
from durable.postgres.errors import DRIVER, error_class, translating
from durable.postgres.sql import schema_name

Row = asyncpg.Record
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

# A plan that was made while a table was small is kept while the table grows, until it is analysed.
# So none may read a whole table where an index serves; where none does, it is read all the same.
SETTINGS = {
    "application_name": "durable pool", "timezone": "UTC", "jit": "off", "enable_seqscan": "off",
}  # fmt: skip


@contextmanager
def _leaving(connection: Connection) -> Iterator[None]:
    """Do not stay with a connection that is of no more use: the next one finds another server."""
    try:
        yield
    except DRIVER as error:
        if error_class(error).drop:
            connection.terminate()
        raise


async def _keep(_connection: Any) -> None:
    """Nothing to reset between uses: no statement of ours changes its session."""


class Database:
    """A pool of connections to one database, and the schema that a namespace is.

    Example:
        >>> database = await Database.open(dsn, schema="durable")  # doctest: +SKIP
    """

    def __init__(self, pool: Pool, address: Address, schema: str) -> None:
        self._pool = pool
        self._closed = False
        self.address = address
        self.schema = schema_name(schema)

    @property
    def dsn(self) -> str:
        """The database, as a URI."""
        return self.address.dsn

    @classmethod
    async def open(cls, dsn: str, *, schema: str = "durable", size: int = 8) -> Database:
        """Connect; raises `ConnectionLost` when the server cannot be reached."""
        schema_name(schema)
        with translating():
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=size,
                max_inactive_connection_lifetime=0,
                max_cached_statement_lifetime=0,
                reset=_keep,
                server_settings=SETTINGS,
                timeout=10,
            )
        return cls(pool, Address(dsn), schema)

    @classmethod
    async def within(cls, pool: Pool, *, schema: str = "durable") -> Database:
        """Use a pool of the caller's, who closes it.

        Raises `ConfigurationError` for a pool whose connections read JSON otherwise than as text,
        and `ConnectionLost` when the server cannot be reached.
        """
        schema_name(schema)
        with translating():
            return cls(pool, await Address.of_pool(pool), schema)

    @classmethod
    async def at(cls, address: Address, *, schema: str = "durable") -> Database:
        """Connect to where another `Database` is connected, by the same pool if it has one."""
        if address.pool is not None:
            return await cls.within(address.pool, schema=schema)
        return await cls.open(address.dsn, schema=schema)

    async def close(self) -> None:
        """Close the connections, after a moment for what is in flight; not the caller's pool."""
        self._closed = True
        if self.address.pool is not None:
            return
        try:
            await asyncio.wait_for(self._pool.close(), 2)
        except TimeoutError:
            self._pool.terminate()

    def _check_open(self) -> None:
        # Else asyncpg's word for it would be taken for a broken connection, and waited out for
        # ever.
        if self._closed or self._pool.is_closing():
            raise DatabaseError(
                "this client has been closed: make another one with durable.connect()"
            )

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """One connection, for a transaction; errors leave it translated."""
        self._check_open()
        with translating():
            async with self._pool.acquire(timeout=10) as connection:
                with _leaving(connection):
                    yield connection

    async def fetch(self, statement: str, *args: Any) -> list[Row]:
        """Run one statement; its rows."""
        self._check_open()
        with translating():
            async with self._pool.acquire(timeout=10) as connection:
                with _leaving(connection):
                    return await connection.fetch(statement, *args)

    async def fetchrow(self, statement: str, *args: Any) -> Row | None:
        """Run one statement; its first row, or None."""
        rows = await self.fetch(statement, *args)
        return rows[0] if rows else None

    async def fetchval(self, statement: str, *args: Any) -> Any:
        """Run one statement; the first column of its first row, or None."""
        rows = await self.fetch(statement, *args)
        return rows[0][0] if rows else None


# A lane's statements look up rows by their keys whatever the parameters are; planning one anew
# takes three times as long as carrying it out.
LANE = {"plan_cache_mode": "force_generic_plan"}


class Lane:
    """One connection held by one user, for statements whose round trip is the cost that counts."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection: asyncpg.Connection | None = None

    async def fetch(self, statement: str, *args: Any) -> Sequence[Row]:
        """Run one statement on the held connection, opening it when there is none."""
        with translating():
            connection = self._connection
            if connection is None or connection.is_closed():
                connection = await open_connection(self._address, "durable commits", **LANE)
                self._connection = connection
            with _leaving(connection):
                return await connection.fetch(statement, *args)

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def open_connection(address: Address, name: str, **settings: str) -> asyncpg.Connection:
    """A connection of one's own, outside of the pool; `name` is what `pg_stat_activity` shows."""
    return await address.connect({**SETTINGS, **settings, "application_name": name})
