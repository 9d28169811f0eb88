"""The database as the other rooms see it: statements in, rows out, errors in our own words.

A `Database` wraps one asyncpg pool and one schema. A statement either ran or raised: nothing is
sent twice behind the caller's back, because only the caller knows whether that is harmless. Who
does know uses `patiently`, which waits out a restart of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import asyncpg
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_exponential,
    wait_random,
)

from durable.errors import DatabaseError
from durable.postgres.address import Address, Pool
from durable.postgres.sql import schema_name
from durable.telemetry.logs import logger

R = TypeVar("R")
Row = asyncpg.Record
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

SAY_AT, SAY_EVERY = 5, 30  # attempts at reaching the server, before somebody should know

# A plan that was made while a table was small is kept while the table grows, until it is analysed.
# So none may read a whole table where an index serves; where none does, it is read all the same.
SETTINGS = {
    "application_name": "durable pool", "timezone": "UTC", "jit": "off", "enable_seqscan": "off",
}  # fmt: skip

_GONE = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,
    asyncpg.ReadOnlySQLTransactionError,  # what was the primary is one no more: find the new one
)


class ConnectionLost(DatabaseError):
    """The connection broke: what was sent may or may not have happened."""


class Conflict(DatabaseError):
    """Another transaction or a full disk stood in the way: nothing happened, try again."""


_CONFLICTS = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,  # disk, memory: somebody will make room
    asyncpg.PostgresSystemError,
)


def translated(error: Exception) -> DatabaseError:
    """An error of asyncpg or the socket as one of ours; the original becomes its cause."""
    if isinstance(error, _GONE):
        return ConnectionLost(f"the connection to Postgres broke: {error or type(error).__name__}")
    if isinstance(error, _CONFLICTS):
        return Conflict(f"Postgres could not carry out a statement just now: {error}")
    return DatabaseError(f"Postgres refused a statement: {error}")


@contextmanager
def translating() -> Iterator[None]:
    """Errors of asyncpg and the socket leave the block as ours."""
    try:
        yield
    except (*_GONE, asyncpg.PostgresError) as error:
        raise translated(error) from error


@contextmanager
def _leaving(connection: Connection) -> Iterator[None]:
    """Do not stay with a server that has become read-only: the next connection finds another."""
    try:
        yield
    except asyncpg.ReadOnlySQLTransactionError:
        connection.terminate()
        raise


async def _keep(_connection: Any) -> None:
    """Nothing to reset between uses: no statement of ours changes its session."""


def _say(state: RetryCallState) -> None:
    if state.attempt_number == SAY_AT or state.attempt_number % SAY_EVERY == 0:
        error = None if state.outcome is None else state.outcome.exception()
        logger.warning("tried %d times, and go on trying: %s", state.attempt_number, error)


async def patiently(action: Callable[[], Awaitable[R]]) -> R:
    """Run `action` until Postgres can be reached; only for what may safely happen twice."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type((ConnectionLost, Conflict)),
        wait=wait_exponential(multiplier=0.05, max=1.0) + wait_random(0, 0.05),
        before_sleep=_say,
        reraise=True,
    ):
        with attempt:
            return await action()
    raise AssertionError  # pragma: no cover - tenacity never ends without a result or an error


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
