"""Silence is not life: who waits for Postgres stops waiting, and goes on by another connection."""

from __future__ import annotations

import asyncio
import socket
import time
from asyncio import Task
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
import pytest_asyncio

from durable.composition import connect
from durable.errors import DatabaseError
from durable.postgres import listener as listener_module
from durable.postgres import pools
from durable.postgres.address import Address
from durable.postgres.connections import guarded, open_connection
from durable.postgres.database import RECOVERED, Database, Lane
from durable.postgres.errors import Conflict, ConnectionLost, DeadlinePassed, StatementTimeout
from durable.postgres.listener import Listener
from tests.integration.proxy import Proxy

PID = "select pg_backend_pid()"


@pytest_asyncio.fixture
async def proxy(dsn: str) -> AsyncIterator[Proxy]:
    """A network that can fall silent."""
    async with Proxy(dsn) as opened:
        yield opened


async def test_a_silent_pool_and_a_silent_lane(proxy: Proxy):
    """A statement without an answer ends at its deadline; the next goes by another connection."""
    database, lane = await Database.open(proxy.dsn, size=1), Lane(Address(proxy.dsn))
    before = {await database.fetchval(PID), (await lane.fetch(PID))[0][0]}
    proxy.swallowing = True
    for fetch in (database.fetch, lane.fetch):
        with pytest.raises(DeadlinePassed) as caught:
            await asyncio.wait_for(fetch("select 1", deadline=0.2), 60)
        assert caught.value.deadline == 0.2
        assert isinstance(caught.value, ConnectionLost)  # what a commit is looked up after
    proxy.swallowing = False
    assert not before & {await database.fetchval(PID), (await lane.fetch(PID))[0][0]}
    await database.close()
    await lane.close()


async def test_one_silent_connection_costs_one_deadline(proxy: Proxy):
    """The pool's other connections, which go the same way, are not tried out one by one."""
    database = await Database.open(proxy.dsn, size=4)
    asked = [database.fetchval(f"{PID} from pg_sleep(0.05)") for _ in range(4)]
    before = set(await asyncio.gather(*asked))
    assert len(before) == 4
    proxy.swallowing = True
    with pytest.raises(DeadlinePassed):
        await database.fetch("select 1", deadline=0.2)
    proxy.swallowing = False
    assert await asyncio.wait_for(database.fetchval(PID), 10) not in before
    await database.close()


async def test_a_connection_that_is_closed_amid_a_statement(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    """It is lost, as any other is: no error of the driver's insides comes out."""
    prepared = asyncpg.Connection._get_statement

    async def closing(self: asyncpg.Connection, *args: object, **kwargs: object) -> object:
        statement = await prepared(self, *args, **kwargs)
        self.terminate()
        return statement

    lane = Lane(database.address)
    connection = await open_connection(database.address, "durable test")
    monkeypatch.setattr(asyncpg.Connection, "_get_statement", closing)
    with pytest.raises(ConnectionLost, match="closed amid a statement"), guarded(connection, 5):
        await connection.fetch(PID)
    with pytest.raises(ConnectionLost, match="closed amid a statement"):
        await lane.fetch(PID)
    monkeypatch.undo()
    assert await lane.fetch(PID)
    await lane.close()


async def test_the_server_gives_up_first(database: Database):
    """Its timeout lies below ours: the statement is at an end when somebody looks it up."""
    lane = Lane(database.address)
    (before,) = await lane.fetch(PID)
    for fetch in (database.fetch, lane.fetch):
        with pytest.raises(StatementTimeout):
            await fetch("select pg_sleep(30)", deadline=2.4)
    assert (await lane.fetch(PID))[0][0] == before[0]  # and its connection is as good as before
    await lane.close()


async def test_a_longer_deadline_is_the_servers_too(database: Database):
    """The session's timeout follows the deadline, up and down again."""
    show = "select current_setting('statement_timeout')"
    lane = Lane(database.address)
    for deadline, timeout in ((15.0, "10s"), (90.0, "1min"), (15.0, "10s")):
        assert (await lane.fetch(show, deadline=deadline))[0][0] == timeout
        assert await database.fetchval(show, deadline=deadline) == timeout
    await lane.close()


async def test_a_silent_listener_connects_anew(proxy: Proxy, monkeypatch: pytest.MonkeyPatch):
    """It asks now and then whether anybody is there; after a reconnection everybody looks."""
    monkeypatch.setattr(listener_module, "PROBE_EVERY", 0.1)
    monkeypatch.setattr(listener_module, "ANSWER", 1.0)
    listener, heard = Listener(Address(proxy.dsn)), asyncio.Queue[str]()
    await listener.start()
    await listener.listen("deadlines", heard.put_nowait)
    proxy.swallowing = True
    lost = listener._lost
    await asyncio.wait_for(lost.wait(), 60)
    proxy.swallowing = False
    proxy.cut()  # the attempts to connect that were swallowed, too
    assert await asyncio.wait_for(heard.get(), 60) == ""
    database = await Database.open(proxy.dsn)
    await database.fetch("select pg_notify('deadlines', 'x')")
    while await asyncio.wait_for(heard.get(), 60) != "x":
        pass  # a machine that is busy may take it for silent once more
    await listener.close()
    await database.close()


async def _database(dsn: str) -> Callable[[], object]:
    return (await Database.open(dsn)).close


async def _busy(dsn: str) -> Callable[[], object]:
    database = await Database.open(dsn)
    asked = asyncio.create_task(database.fetch("select pg_sleep(30)"))
    asked.add_done_callback(Task.exception)  # that of a connection that was closed
    await asyncio.sleep(0)
    return database.close


async def _listener(dsn: str) -> Callable[[], object]:
    listener = Listener(Address(dsn))
    await listener.start()
    await listener.listen("a", print)
    return listener.close


async def _client(dsn: str) -> Callable[[], object]:
    return (await connect(dsn, namespace="deadlines", migrate=True)).close


@pytest.mark.parametrize("opened", [_database, _busy, _listener, _client])
async def test_closing_does_not_wait_for_a_silent_server(proxy: Proxy, opened):
    """Whatever is closed ends within seconds, though nobody answers."""
    close = await opened(proxy.dsn)
    proxy.swallowing = True
    began = time.monotonic()
    await asyncio.wait_for(close(), 60)
    assert time.monotonic() - began < 15


async def test_every_connection_of_ours_notices_who_has_vanished(proxy: Proxy):
    """Keepalives at both ends, and an end to transactions that nobody goes on with."""
    for direct in (True, False):
        connection = await open_connection(Address(proxy.dsn), "test", direct=direct)
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000
        names = ["idle_in_transaction_session_timeout", "statement_timeout"]
        rows = await connection.fetch("select current_setting(n) from unnest($1::text[]) n", names)
        assert [row[0] for row in rows] == ["30s", "10s"]
        await connection.close()


async def test_a_cancelled_connection_is_not_used_again(database: Database):
    """Its answer is still to come: nobody else may get that one."""
    own = await Database.open(database.dsn, schema=database.schema, size=1)
    before = await own.fetchval(PID)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(own.fetch("select pg_sleep(20)"), 0.1)
    assert await own.fetchval(PID) != before
    await own.close()


async def test_a_transaction_that_was_left_open_is_not_handed_on(database: Database):
    """A connection comes back as it was taken, or not at all."""
    own = await Database.open(database.dsn, schema=database.schema, size=1)
    async with own.connection() as connection:
        await connection.execute("begin")
    assert await own.fetchval("select pg_current_xact_id_if_assigned()") is None
    async with own.connection() as connection:
        assert not connection.is_in_transaction()
    await own.close()


async def test_waiting_for_a_connection_is_fair_and_ends(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    """First come, first served; who waits too long is told that nothing has happened."""
    own = await Database.open(database.dsn, schema=database.schema, size=1)
    order: list[int] = []

    async def ask(number: int) -> None:
        await own.fetch("select 1")
        order.append(number)

    await asyncio.gather(*[ask(number) for number in range(20)])
    assert order == list(range(20))
    monkeypatch.setattr(pools, "SLOT_TIMEOUT", 0.1)
    async with own.connection():
        with pytest.raises(Conflict, match="1 connections"):
            await own.fetch("select 1")
    assert await own.fetchval("select 1") == 1
    await own.close()
    with pytest.raises(DatabaseError, match="closed"):
        await own.fetch("select 1")


async def test_what_took_too_long_has_twice_the_time(database: Database):
    """A lane is patient for a while after a timeout, and as strict as before when all is well."""
    lane = Lane(database.address, deadline=1.2)  # 0.8 seconds for the server
    with pytest.raises(StatementTimeout):
        await lane.fetch("select pg_sleep(1.2)")
    await lane.fetch("select pg_sleep(1.2)")
    for _ in range(RECOVERED - 1):
        await lane.fetch("select 1")
    with pytest.raises(StatementTimeout):
        await lane.fetch("select pg_sleep(1.2)")
    await lane.close()


async def test_the_doubled_deadline_is_the_last_that_was_given(database: Database):
    """A statement with a deadline of its own that it missed doubles that one."""
    lane = Lane(database.address)
    with pytest.raises(StatementTimeout):
        await lane.fetch("select pg_sleep(30)", deadline=1.5)
    assert (await lane.fetch("show statement_timeout"))[0][0] == "2s"
    await lane.close()
