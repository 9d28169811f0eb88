"""Connections of our own: how they are set, how long they may be silent, how they are given up.

No answer is waited for without end. The server ends a statement by its `statement_timeout`; if that
does not arrive either, the connection is closed a little later, without a request to cancel (which
would need an answer, too), and never used again. The system looks after idle connections by
keepalives, at both ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import asyncpg

from durable.postgres.address import CONNECT_TIMEOUT, Address
from durable.postgres.errors import DRIVER, DeadlinePassed, error_class, translated
from durable.postgres.sql import SqlFile

DEADLINE = 15.0  # seconds until a silent connection is given up; its session's timeout is 10
LONG_DEADLINE = 90.0  # of lists, histories, pruning, deployment: what reads or writes much at once
SERVER_SHARE = 2 / 3  # of a deadline is the server's own, so that its answer arrives before it

# About when a peer that has vanished is noticed: 10 + 3 × 3 seconds idle, 15 with data on its way.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPALIVE": 10, "TCP_KEEPINTVL": 3, "TCP_KEEPCNT": 3}
_USER_TIMEOUT = 15_000  # milliseconds

Row = asyncpg.Record

SESSIONS = SqlFile("durable.postgres", "sql/sessions.sql")
_SQL = SESSIONS.load("durable")


async def open_connection(
    address: Address, name: str, *, direct: bool = True, also: str | None = None
) -> asyncpg.Connection:
    """A connection of one's own, with the settings that our statements rest on.

    Args:
        address: the database.
        name: what `pg_stat_activity` shows.
        direct: whether its session has to be kept, so that no pooler may share it.
        also: the block of `sessions.sql` with further settings: "lane" or "migration".

    Raises what the driver raises: whoever calls this translates.
    """
    connection = await address.connect(name, direct=direct)
    keep_alive(connection)
    if direct or address.keeps_sessions:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                blocks = ["settings"] if also is None else ["settings", also]
                await connection.execute(";\n".join(_SQL[block] for block in blocks))  # one trip
        except BaseException:
            connection.terminate()
            raise
    return connection


class Connection(Protocol):
    """What statements need of a connection: the driver's, or what stands for one of a pool."""

    async def fetch(self, query: str, *args: object) -> list[Row]:
        """Run one statement; its rows."""
        ...

    async def fetchrow(self, query: str, *args: object) -> Row | None:
        """Run one statement; its first row."""
        ...

    async def fetchval(self, query: str, *args: object) -> Any:
        """Run one statement; the first value of its first row: the SQL says of which type."""
        ...

    async def execute(self, query: str, *args: object) -> str:
        """Run one statement, or several without arguments; what Postgres calls what was done."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """A transaction, around what is awaited within."""
        ...


class DirectConnection(Connection, Protocol):
    """A connection of one's own, which can break and be closed."""

    def is_closed(self) -> bool:
        """Whether it has broken or was closed."""
        ...

    def terminate(self) -> None:
        """Close it at once."""
        ...

    def add_termination_listener(self, callback: Callable[[object], None]) -> None:
        """Call `callback` when it breaks or is closed."""
        ...

    def remove_termination_listener(self, callback: Callable[[object], None]) -> None:
        """Call `callback` no longer."""
        ...


def keep_alive(connection: Any) -> None:
    """Have the system notice a peer that has vanished without a word."""
    transport = connection._transport  # noqa: SLF001 - asyncpg has no public way to its socket
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {**_KEEPALIVE, "TCP_USER_TIMEOUT": _USER_TIMEOUT}
    for option, value in options.items():
        if hasattr(socket, option):  # each system has its own
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


async def allow(connection: asyncpg.Connection, deadline: float) -> None:
    """Have the server's own timeout lie below `deadline` from now on."""
    await connection.fetch(*_SQL.bind("timeout", timeout=f"{deadline * SERVER_SHARE * 1000:.0f}ms"))


@contextlib.contextmanager
def guarded(connection: Any, deadline: float) -> Iterator[None]:
    """Statements of the block have until `deadline` seconds from now; errors leave it as ours.

    A connection that was silent for too long, whose block was cancelled, or that is of no more use
    for another reason is closed.

    Raises:
        DeadlinePassed: no answer came in time.
        DatabaseError: what Postgres or the network said, by its class.
    """
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        connection.terminate()

    timer = asyncio.get_running_loop().call_later(deadline, expire)
    try:
        yield
    except (*DRIVER, AttributeError) as error:
        if isinstance(error, AttributeError):
            # asyncpg takes the protocol from a connection that is closed, and then asks it.
            if not connection.is_closed():
                raise
            error = asyncpg.InterfaceError("it was closed amid a statement")
        if expired:
            raise DeadlinePassed(
                f"Postgres did not answer within {deadline:g} s, and the connection was closed",
                deadline=deadline,
            ) from error
        if error_class(error).drop:
            connection.terminate()
        raise translated(error) from error
    except asyncio.CancelledError:
        connection.terminate()  # its late answer must not reach another caller
        raise
    finally:
        timer.cancel()
