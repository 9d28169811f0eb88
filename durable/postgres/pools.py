"""Pools: of connections of our own, or one that the application lends.

A connection of our own pool is handed out as it is, without a proxy and without a reset between
uses, since no statement of ours changes its session. Who waits for one is served in turn.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol
from weakref import WeakSet

import asyncpg

from durable.errors import ConfigurationError
from durable.postgres.address import CONNECT_TIMEOUT, Address, Pool
from durable.postgres.connections import (
    DEADLINE,
    SESSIONS,
    allow,
    guarded,
    open_connection,
)
from durable.postgres.errors import Conflict, DeadlinePassed, translating

SLOT_TIMEOUT = 20.0  # seconds that are waited for others to give a connection back
OPENING_MAX = 2  # connections at once, so that a server that comes back is not overrun
CLOSE_TIMEOUT = 2.0  # seconds for what is in flight

_SQL = SESSIONS.load("durable")


class Connections(Protocol):
    """Where a `Database` gets its connections from."""

    def use(self, deadline: float) -> contextlib.AbstractAsyncContextManager[Any]:
        """One connection for the block, whose statements have `deadline` seconds."""
        ...

    async def close(self) -> None:
        """Close what is ours."""


class _Session:
    """A connection, and the deadline for which its session's timeout is set."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.deadline = DEADLINE


class ForeignSession:
    """A connection whose session is not ours to set: what a transaction needs it says itself."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def transaction(self) -> Any:
        """A transaction on whose isolation our statements rest."""
        return self._connection.transaction(isolation="read_committed")


class OwnPool:
    """Up to `size` connections, opened when they are needed, and kept."""

    def __init__(self, address: Address, size: int) -> None:
        self._address = address
        self._size = size
        self._slots = asyncio.Semaphore(size)
        self._opening = asyncio.Semaphore(OPENING_MAX)
        self._idle: list[_Session] = []  # the last one used is the next one used
        self._busy: set[_Session] = set()

    @asynccontextmanager
    async def use(self, deadline: float) -> AsyncIterator[Any]:
        """One connection for the block, whose statements have `deadline` seconds.

        Raises `Conflict` when others kept every connection for too long.
        """
        session = await self._take(deadline)
        try:
            with guarded(session.connection, deadline):
                if not self._address.keeps_sessions:
                    yield ForeignSession(session.connection)
                    return
                if session.deadline != deadline:
                    await allow(session.connection, deadline)
                    session.deadline = deadline
                yield session.connection
        except DeadlinePassed:
            self._drop_idle()  # which go the same way as the one that went silent
            raise
        finally:
            self._give_back(session)

    async def _take(self, deadline: float) -> _Session:
        if self._slots.locked():
            await self._wait()
        else:
            await self._slots.acquire()
        try:
            session = self._found(deadline) or await self._open()
        except BaseException:
            self._slots.release()
            raise
        self._busy.add(session)
        return session

    def _found(self, deadline: float) -> _Session | None:
        """The idle session to use; None: open another.

        One that is set for this deadline, so that two kinds of statements in turn do not have one
        session set anew for each.
        """
        self._idle = [one for one in self._idle if not one.connection.is_closed()]
        for place in range(len(self._idle) - 1, -1, -1):
            if self._idle[place].deadline == deadline:
                return self._idle.pop(place)
        full = len(self._idle) + len(self._busy) >= self._size
        return self._idle.pop() if full else None

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(SLOT_TIMEOUT):
                await self._slots.acquire()
        except TimeoutError:
            raise Conflict(
                f"each of the pool's {self._size} connections was in use for {SLOT_TIMEOUT:g} s"
            ) from None

    async def _open(self) -> _Session:
        async with self._opening:
            with translating():
                return _Session(await open_connection(self._address, "durable pool", direct=False))

    def _give_back(self, session: _Session) -> None:
        connection = session.connection
        self._busy.discard(session)
        if not connection.is_closed():
            if connection.is_in_transaction():
                connection.terminate()
            else:
                self._idle.append(session)
        self._slots.release()

    def _drop_idle(self) -> None:
        idle, self._idle = self._idle, []
        for session in idle:
            session.connection.terminate()

    async def close(self) -> None:
        """Close the connections, after a moment for what is in flight."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                for _ in range(self._size):  # so that no caller gets one any more
                    await self._slots.acquire()
                for session in self._idle:
                    await session.connection.close()
        for session in [*self._busy, *self._idle]:
            session.connection.terminate()


class LentPool:
    """A pool of the application's: nothing of its sessions is changed, and it is not ours to close.

    Each physical connection is looked at once, before its first use.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: WeakSet[Any] = WeakSet()

    @asynccontextmanager
    async def use(self, deadline: float) -> AsyncIterator[Any]:
        """One connection for the block, whose statements have `deadline` seconds.

        Raises `ConfigurationError` for a connection whose settings would break a guarantee.
        """
        with translating():
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT) as connection:
                with guarded(connection, deadline):
                    await self._check(connection)
                    yield ForeignSession(connection)

    async def _check(self, connection: Any) -> None:
        physical = connection._con  # noqa: SLF001 - a proxy is another for each use
        if physical not in self._known:
            await check_settings(connection, "of this pool (server_settings in create_pool")
            self._known.add(physical)

    async def close(self) -> None:
        """It stays open: it is the application's."""


async def check_settings(connection: Any, whose: str) -> None:
    """Refuse a session that is not ours to set, and is set so that a guarantee would break.

    Raises `ConfigurationError` with the names of the settings.
    """
    unfit = await connection.fetch(_SQL["unfit"])
    if unfit:
        found = ", ".join(f"{row['name']} is {row['setting']!r}" for row in unfit)
        wanted = ", ".join(f"{row['name']} = '{row['wanted']}'" for row in unfit)
        raise ConfigurationError(
            f"durable cannot work by a connection {whose}, or `alter role ... set`) where {found}:"
            f" set {wanted}"
        )
