"""The connection of a member: its session holds the member's lock, and sends beats and sweeps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from durable.postgres.address import Address
from durable.postgres.connections import DirectConnection, open_connection
from durable.postgres.errors import translating

SILENCE = 15.0  # a connection that does not answer for so long is given up

T = TypeVar("T")


class MemberConnection:
    """A connection that is opened by the first query and again after it was lost.

    Args:
        address: the database.
        on_lost: called when the connection breaks. An idle member would otherwise notice the loss
            of its lock at its next beat only.
    """

    def __init__(self, address: Address, on_lost: Callable[[], None]) -> None:
        self._locked = False
        self._address = address
        self._on_lost = on_lost
        self._connection: DirectConnection | None = None
        self._using = asyncio.Lock()  # the thread's: a lock binds to the loop that first waits

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that has not broken."""
        return self._connection is not None and not self._connection.is_closed()

    async def query(self, ask: Callable[[DirectConnection], Awaitable[T]]) -> T:
        """The answer to one query at a time. Raises `DatabaseError`."""
        async with self._using:
            # A dead connection is noticed here before the operating system would notice.
            with translating():
                async with asyncio.timeout(SILENCE):
                    return await ask(await self._opened())

    @property
    def holds_lock(self) -> bool:
        """Whether the open session holds the member's lock."""
        return self._locked and self.is_open

    async def lock(self, take: Callable[[DirectConnection], Awaitable[bool]]) -> bool:
        """Take the member's lock for the session; whether it has it."""
        self._locked = await self.query(take)
        return self._locked

    def drop(self) -> None:
        """Close the connection at once; the next query opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.remove_termination_listener(self._broken)
            connection.terminate()

    async def _opened(self) -> DirectConnection:
        if self._connection is None or self._connection.is_closed():
            if self._connection is not None:
                await self._address.jitter()
            self._locked = False
            self._connection = await open_connection(self._address, "durable member")
            self._connection.add_termination_listener(self._broken)
        return self._connection

    def _broken(self, _connection: object) -> None:
        self._on_lost()
