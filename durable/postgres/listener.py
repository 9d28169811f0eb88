"""LISTEN: one connection, any number of channels, a callback each.

A notification is a wake-up and carries names, never data. While the connection is away nothing is
heard; so after every (re)connection each callback is called once with an empty payload, and its
owner looks for itself. One rule makes that complete: listen first, then look.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import asyncpg

from durable.errors import DatabaseError
from durable.postgres.address import Address
from durable.postgres.connections import SESSIONS, guarded, open_connection
from durable.postgres.errors import ConnectionLost, translating
from durable.postgres.retries import CALLER_TIMEOUT, retry_until_connected
from durable.postgres.sql import SqlFile
from durable.telemetry.logs import logger

OnNotification = Callable[[str], None]

REFUSED_PAUSE = 1.0  # seconds until a refused connection is asked for again
SILENCE = 1.0  # seconds that closing waits for an answer that nobody needs
# A connection on which nothing is asked does not notice that nobody is there any more.
PROBE_EVERY = 20.0
ANSWER = 5.0  # seconds that LISTEN and the probe may take: they wait for nobody

NOTIFY = SqlFile("durable.postgres", "sql/notify.sql")
_SQL = SESSIONS.load("durable")


class Listener:
    """The LISTEN connection of a process."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._callbacks: dict[str, list[OnNotification]] = {}
        self._connection: asyncpg.Connection | None = None
        self._lost = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Connect, and stay connected until `close`."""
        await retry_until_connected(self._connect, host=False, limit=CALLER_TIMEOUT)
        self._keeper = asyncio.create_task(self._keep(), name="durable listener")

    async def close(self) -> None:
        """Stop listening."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._connection is not None:
            self._connection.terminate()

    async def listen(self, channel: str, callback: OnNotification) -> None:
        """Call `callback(payload)` for each notification on `channel`, from when this returns."""
        callbacks = self._callbacks.setdefault(channel, [])
        callbacks.append(callback)
        if len(callbacks) == 1:
            with contextlib.suppress(ConnectionLost):  # the reconnection listens to every channel
                await self._add(channel)

    async def unlisten(self, channel: str, callback: OnNotification) -> None:
        """Stop calling `callback` for `channel`."""
        callbacks = self._callbacks.get(channel, [])
        if callback in callbacks:
            callbacks.remove(callback)
        if (
            not callbacks
            and self._callbacks.pop(channel, None) is not None
            and self._connection is not None
        ):
            # A server that does not answer must not hold up who is closing.
            with contextlib.suppress(DatabaseError):
                async with self._lock:
                    with guarded(self._connection, SILENCE):
                        await self._connection.remove_listener(channel, self._on_notification)

    async def _add(self, channel: str) -> None:
        async with self._lock:
            if self._connection is not None:
                with guarded(self._connection, ANSWER):
                    await self._connection.add_listener(channel, self._on_notification)

    async def _connect(self) -> None:
        with translating():
            connection = await open_connection(self._address, "durable listen")
        connection.add_termination_listener(self._on_lost)
        if self._connection is not None:
            self._connection.terminate()
        self._connection = connection
        self._lost.clear()
        for channel in list(self._callbacks):
            await self._add(channel)
        for callbacks in list(self._callbacks.values()):
            for callback in list(callbacks):
                callback("")

    async def _keep(self) -> None:
        while True:
            try:
                async with asyncio.timeout(PROBE_EVERY):
                    await self._lost.wait()
            except TimeoutError:
                await self._probe()
                continue
            try:
                await retry_until_connected(self._connect)
            except DatabaseError as error:
                # The polling beneath goes on without us meanwhile.
                logger.warning("Postgres refuses to let us listen, we ask again: %s", error)
                await asyncio.sleep(REFUSED_PAUSE)
            except Exception as error:  # noqa: BLE001 - of one who listens: the others go on
                logger.error("listening failed, and is begun again: %s", error, exc_info=error)
                await asyncio.sleep(REFUSED_PAUSE)

    async def _probe(self) -> None:
        """Have a connection that does not answer closed, which is noticed then."""
        with contextlib.suppress(DatabaseError):
            async with self._lock:
                if self._connection is not None:
                    with guarded(self._connection, ANSWER):
                        await self._connection.fetch(_SQL["probe"])

    def _on_lost(self, connection: Any) -> None:
        if connection is self._connection:
            self._lost.set()

    def _on_notification(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        for callback in list(self._callbacks.get(channel, ())):
            callback(str(payload))
