"""Poolers between us and Postgres, such as PgBouncer: does a connection have a session of its own?

In transaction mode a pooler gives each transaction whatever connection to the server is free. What
is set for the session, prepared, locked or listened to is then somebody else's a moment later. So
nothing is set there, the pool's statements get along without, and what needs a session goes by a
direct way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from durable.errors import ConfigurationError
from durable.postgres.address import CONNECT_TIMEOUT, Address
from durable.postgres.connections import SESSIONS
from durable.postgres.pools import check_settings

_SQL = SESSIONS.load("durable")

_LOOKS = 3  # at each of two connections

_SHARED = (
    "through a pooler in transaction mode (pool_mode of PgBouncer), where connections have no"
    " session of their own: LISTEN and the lease of a worker need one. Give connect(...,"
    " direct_dsn=...) or DURABLE_DIRECT_URL, the address of Postgres itself or of a pool in session"
    " mode; what needs no session goes through the pooler all the same"
)

# What was prepared a moment ago is gone, or somebody else's.
_ANOTHERS = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)


async def find_out(address: Address) -> None:
    """Set `address.keeps_sessions`, and see to it that there is a way that does keep them.

    Raises:
        ConfigurationError: a pooler shares the sessions, and no direct way was given, or one that
            goes through such a pooler, too; or they are set so that a guarantee would break.
    """
    async with asyncio.timeout(3 * CONNECT_TIMEOUT):
        address.keeps_sessions = False  # until it is known
        address.keeps_sessions = await _keeps_sessions(address, direct=False)
        if address.direct is not None:
            await _check_direct(address)
        elif not address.keeps_sessions:
            raise ConfigurationError(f"this DSN goes {_SHARED}")
        if not address.keeps_sessions:
            async with _opened(address, direct=False) as connection:
                await check_settings(connection, "of a pooler in transaction mode (connect_query")


async def _check_direct(address: Address) -> None:
    if not await _keeps_sessions(address, direct=True):
        raise ConfigurationError(f"direct_dsn goes, too, {_SHARED}")
    async with _opened(address, direct=False) as pooled, _opened(address, direct=True) as direct:
        here, there = await pooled.fetchrow(_SQL["place"]), await direct.fetchrow(_SQL["place"])
    if here != there:
        raise ConfigurationError(
            f"direct_dsn leads to database {there['name']!r}, and the DSN to {here['name']!r}, or"
            " to one of that name on another server: they have to be ways to the same one"
        )


@asynccontextmanager
async def _opened(address: Address, *, direct: bool) -> AsyncIterator[Any]:
    connection = await address.connect("durable pool", direct=direct)
    try:
        yield connection
    finally:
        connection.terminate()


async def _keeps_sessions(address: Address, *, direct: bool) -> bool:
    """Whether a connection stays with one process of the server."""
    try:
        async with _opened(address, direct=direct) as one:
            first = await _backend(one)
            if first == one.get_server_pid():
                return True  # nobody stands between: a pooler makes up a number of its own
            # Take what the first connection had, if it can be had: a transaction holds on to it.
            async with _opened(address, direct=direct) as two:
                return await _is_alone(one, first, two)
    except _ANOTHERS:
        return False
    except asyncpg.PostgresConnectionError as error:
        if "transaction blocks not allowed" not in str(error):
            raise
        raise ConfigurationError(
            "the pooler is in statement mode, which allows no transactions: give it pool_mode ="
            " session or transaction"
        ) from error


async def _is_alone(one: Any, first: int, two: Any) -> bool:
    for _ in range(_LOOKS):
        async with two.transaction():
            if await _backend(two) == first or await _backend(one) != first:
                return False
    return True


async def _backend(connection: Any) -> int:
    number: int = await connection.fetchval(_SQL["backend"])
    return number
