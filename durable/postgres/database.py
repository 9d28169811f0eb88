"""The database as the other rooms see it: statements in, rows out, errors in our own words.

A `Database` has connections and one schema. A statement either ran or raised: nothing is sent twice
behind the caller's back, because only the caller knows whether that is harmless. Who does know uses
`retry_until_connected`, which waits out a restart of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from durable.errors import DatabaseError
from durable.postgres.address import CONNECT_TIMEOUT, Address, Pool
from durable.postgres.connections import (
    DEADLINE,
    LONG_DEADLINE,
    SESSIONS,
    Connection,
    allow,
    guarded,
    open_connection,
)
from durable.postgres.errors import DeadlinePassed, StatementTimeout, translating
from durable.postgres.home_loop import HomeLoop
from durable.postgres.poolers import find_out
from durable.postgres.pools import Connections, ForeignSession, LentPool, OwnPool
from durable.postgres.retries import CALLER_TIMEOUT, retry_until_connected
from durable.postgres.sql import schema_name

Row = asyncpg.Record

_SQL = SESSIONS.load("durable")

RECOVERED = 100  # statements in time, after which a lane's deadline is the usual one again


class Database:
    """Connections to one database, and the schema that a namespace is.

    Attributes:
        gate: raises where the schema is missing or behind, before anything is sent; None once it is
            up to date. See `durable.postgres.readiness`.

    Example:
        >>> database = await Database.open(dsn, schema="durable")  # doctest: +SKIP
    """

    def __init__(self, connections: Connections, address: Address, schema: str) -> None:
        self._connections = connections
        self._closed = False
        self.gate: Callable[[], Awaitable[None]] | None = None
        self.home = HomeLoop("what it belongs to")
        self.address = address
        self.schema = schema_name(schema)

    @property
    def dsn(self) -> str:
        """The database, as a URI."""
        return self.address.dsn

    @classmethod
    async def open(
        cls, dsn: str, *, schema: str = "durable", size: int = 8, direct: str | None = None
    ) -> Database:
        """Connect.

        Args:
            dsn: where the database is.
            schema: the namespace in it.
            size: connections in the pool.
            direct: a way round a pooler, for what needs a session of its own.

        Raises:
            ConfigurationError: the DSN cannot be read, or goes through a pooler in transaction mode
                without a direct way beside it.
            ConnectionLost: the server cannot be reached.
        """
        schema_name(schema)
        address = Address(dsn, direct=direct)
        return await cls._opened(OwnPool(address, size), address, schema)

    @classmethod
    async def within(
        cls, pool: Pool, *, schema: str = "durable", direct: str | None = None
    ) -> Database:
        """Use a pool of the caller, which the caller closes.

        Raises `ConfigurationError` for a pool whose connections read JSON otherwise than as text,
        or are set so that a guarantee would break, and `ConnectionLost` when the server cannot be
        reached.
        """
        schema_name(schema)
        with translating():
            async with asyncio.timeout(CONNECT_TIMEOUT):
                address = await Address.of_pool(pool, direct)
        return await cls._opened(LentPool(pool), address, schema)

    @classmethod
    async def _opened(cls, connections: Connections, address: Address, schema: str) -> Database:
        with translating():
            await find_out(address)
        database = cls(connections, address, schema)
        try:
            async with database.connection():  # what is wrong is said now, not at the first use
                return database
        except BaseException:
            await database.close()
            raise

    @classmethod
    async def at(cls, address: Address, *, schema: str = "durable") -> Database:
        """Connect to where another `Database` is connected, by the same pool if it has one."""
        if address.pool is not None:
            return await cls.within(address.pool, schema=schema, direct=address.direct)
        return await cls.open(address.dsn, schema=schema, direct=address.direct)

    async def close(self) -> None:
        """Close the connections, after a moment for what is in flight; not the caller's pool."""
        self._closed = True
        await self._connections.close()

    def _check_open(self) -> None:
        self.home.check("a call of a client or HotMesh")
        closing = self._closed or (self.address.pool is not None and self.address.pool.is_closing())
        # Else asyncpg's word for it would be taken for a broken connection, and waited out for
        # ever.
        if closing:
            raise DatabaseError(
                "this client has been closed: make another one with durable.connect()"
            )

    @asynccontextmanager
    async def connection(self, deadline: float = DEADLINE) -> AsyncIterator[Connection]:
        """One connection, for a transaction that has `deadline` seconds.

        Errors leave it translated; `DeadlinePassed` when no answer came in time.
        """
        self._check_open()
        if self.gate is not None:
            await self.gate()
        async with self._connections.use(deadline) as connection:
            yield connection

    async def fetch(self, statement: str, *args: object, deadline: float = DEADLINE) -> list[Row]:
        """Run one statement; its rows."""
        self._check_open()
        if self.gate is not None:
            await self.gate()
        async with self._connections.use(deadline) as connection:
            rows: list[Row] = await connection.fetch(statement, *args)
            return rows

    async def fetch_past_gate(self, statement: str, *args: object) -> list[Row]:
        """Run one statement that needs no table of ours, or asks which there are."""
        self._check_open()
        async with self._connections.use(DEADLINE) as connection:
            rows: list[Row] = await connection.fetch(statement, *args)
            return rows

    async def probe(self) -> None:
        """Return once the server has answered; raises what kept it from that."""
        self._check_open()
        async with self._connections.use(DEADLINE) as connection:
            await connection.fetch(_SQL["probe"])

    async def fetch_current(self, statement: str, *args: object) -> list[Row]:
        """Run one statement that calls a function whose later parts see what came meanwhile.

        Sessions of ours are set for that; in those of others a transaction says so.
        """
        async with self.connection() as connection:
            if isinstance(connection, ForeignSession):
                async with connection.transaction():
                    return list(await connection.fetch(statement, *args))
            return list(await connection.fetch(statement, *args))

    async def read(self, statement: str, *args: object, deadline: float = DEADLINE) -> list[Row]:
        """Run one statement that only reads, for a caller: again while the server is away.

        Raises `DatabaseError` after a minute, or at once for what waiting does not change.
        """
        return await retry_until_connected(
            lambda: self.fetch(statement, *args, deadline=deadline),
            host=False,
            limit=CALLER_TIMEOUT,
        )

    async def fetchrow(
        self, statement: str, *args: object, deadline: float = DEADLINE
    ) -> Row | None:
        """Run one statement; its first row, or None."""
        rows = await self.fetch(statement, *args, deadline=deadline)
        return rows[0] if rows else None

    async def fetchval(self, statement: str, *args: object, deadline: float = DEADLINE) -> Any:
        """Run one statement; the first column of its first row, or None."""
        rows = await self.fetch(statement, *args, deadline=deadline)
        return rows[0][0] if rows else None


class Lane:
    """One connection held by one user, for statements whose round trip is the cost that counts.

    After a statement that took too long the next ones have twice as long, for a while: a server
    that is slow today gets done what is sent again.

    Args:
        address: the database.
        deadline: seconds that a statement has.
    """

    def __init__(self, address: Address, deadline: float = DEADLINE) -> None:
        self._address = address
        self._connection: asyncpg.Connection | None = None
        self._usual = self._given = deadline
        self._session = DEADLINE  # for which the session's timeout is set
        self._in_time = 0

    async def fetch(
        self, statement: str, *args: object, deadline: float | None = None
    ) -> Sequence[Row]:
        """Run one statement on the held connection, opening it when there is none.

        Args:
            statement: what to run.
            args: its parameters.
            deadline: seconds after which the connection is closed, unless the lane's own; the
                server's own timeout lies below it.

        Raises:
            DeadlinePassed: no answer came in time, and what became of it is not known.
            StatementTimeout: the server ended it, and nothing happened.
            DatabaseError: what else Postgres or the network said, by its class.
        """
        connection = self._connection
        if connection is None or connection.is_closed():
            if connection is not None:
                await self._address.jitter()
            with translating():
                connection = await open_connection(self._address, "durable commits", also="lane")
            self._connection, self._session = connection, DEADLINE
        given = self._given if deadline is None else deadline
        try:
            with guarded(connection, given):
                if given != self._session:
                    await allow(connection, given)
                    self._session = given
                rows = await connection.fetch(statement, *args)
        except (DeadlinePassed, StatementTimeout):
            self._given, self._in_time = min(2 * given, LONG_DEADLINE), 0
            raise
        if self._given != self._usual:
            self._in_time += 1
            if self._in_time == RECOVERED:
                self._given = self._usual
        return rows

    async def probe(self) -> None:
        """Return once the server has answered; raises what kept it from that."""
        await self.fetch(_SQL["probe"])

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
