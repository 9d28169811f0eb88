"""PgBouncer between us and Postgres, with its defaults: session mode, and transaction mode."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

import durable
from durable.client.client import Client
from durable.composition import connect
from durable.errors import ConfigurationError
from durable.worker.worker import Worker
from tests.integration.proxy import Proxy

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")

GRAPH = """
app:
  id: sums
  version: '1'
  graphs:
    - subscribes: sum
      input: {schema: {type: object}}
      output: {schema: {type: object}}
      activities:
        t: {type: trigger}
        w:
          type: worker
          topic: add
          input: {maps: {a: '{t.output.data.a}'}}
          job: {maps: {sum: '{$self.output.data.sum}'}}
      transitions: {t: [{to: w}]}
"""

Bounce = Callable[..., Awaitable[str]]

go = durable.Signal("go", int)


@durable.activity
async def double(n: int) -> int:
    """Twice as much."""
    return 2 * n


@durable.workflow
async def doubled(n: int) -> int:
    """Steps, a signal, a timer: all that takes connections of different kinds."""
    first = await double(n)
    told = await go.receive()
    await durable.sleep(0.05)
    return first + told + sum(await asyncio.gather(*[double(i) for i in range(3)]))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


@asynccontextmanager
async def _bouncer(home: Path, target: str, mode: str, extra: str) -> AsyncIterator[str]:
    """PgBouncer before `target`; its DSN."""
    to, port = urlsplit(target), _free_port()
    password = f" password={to.password}" if to.password else ""
    file = home / "pgbouncer.ini"
    file.write_text(
        f"[databases]\n* = host=127.0.0.1 port={to.port} user={to.username}{password}\n"
        f"[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\nunix_socket_dir=\n"
        f"auth_type=any\npool_mode={mode}\n{extra}\n"
    )
    assert PROGRAM is not None
    drop = ["-u", "nobody"] if os.getuid() == 0 else []
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *drop, "-q", str(file), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await asyncio.wait_for(_listens(port), 60)
        yield f"postgresql://{to.username}@127.0.0.1:{port}{to.path}?sslmode=disable"
    finally:
        process.kill()
        await process.wait()


@pytest_asyncio.fixture
async def proxy(dsn: str) -> AsyncIterator[Proxy]:
    """Postgres by TCP, whatever way it is reached otherwise."""
    async with Proxy(dsn) as opened:
        yield opened


async def _works(client: Client) -> None:
    async with Worker(client, workflows=[doubled], activities=[double]):
        handles = [await client.start(doubled(n)) for n in range(8)]
        await asyncio.gather(*[handle.signal(go, n) for n, handle in enumerate(handles)])
        results = await asyncio.gather(*[handle.result(timeout=60) for handle in handles])
    assert results == [3 * n + 6 for n in range(8)]
    assert await client.count(state="completed") == 8
    assert len(await handles[0].history()) > 3


async def test_session_mode(proxy: Proxy, tmp_path: Path, namespace: str):
    """Everything works with PgBouncer's defaults: what we set, we set within the session."""
    async with (
        _bouncer(tmp_path, proxy.dsn, "session", "") as by,
        await connect(by, namespace=namespace, migrate=True) as client,
    ):
        await _works(client)


async def test_transaction_mode_with_a_direct_way(proxy: Proxy, tmp_path: Path, namespace: str):
    """The pool's statements go through PgBouncer, three server connections for all of them."""
    async with (
        _bouncer(tmp_path, proxy.dsn, "transaction", "default_pool_size=3") as by,
        await connect(by, direct_dsn=proxy.dsn, namespace=namespace, migrate=True) as client,
    ):
        await _works(client)
        names = await _names(proxy.dsn)
    assert {"durable pool", "durable listen"} <= names


async def _names(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("select application_name from pg_stat_activity")
    await connection.close()
    return {row[0] for row in rows}


@pytest.mark.parametrize("inside", [False, True])
async def test_a_mesh_in_transaction_mode_with_a_direct_way(
    proxy: Proxy,
    tmp_path: Path,
    namespace: str,
    inside: bool,  # noqa: FBT001
):
    """`direct_dsn` is an option of its own, or stands among those of the connection."""

    async def add(message: dict[str, Any]) -> dict[str, Any]:
        return {"data": {"sum": message["data"]["a"] + 1}}

    async with _bouncer(tmp_path, proxy.dsn, "transaction", "default_pool_size=3") as by:
        options = {"connectionString": by, **({"directDsn": proxy.dsn} if inside else {})}
        mesh = await durable.HotMesh.init(
            app_id="sums",
            namespace=namespace,
            engine={"connection": {"class": object, "options": options}},
            workers=[{"topic": "add", "callback": add}],
            **({} if inside else {"direct_dsn": proxy.dsn}),
        )
        try:
            await mesh.deploy(GRAPH)
            await mesh.activate("1")
            assert (await mesh.pubsub("sum", {"a": 1}, timeout=60))["data"] == {"sum": 2}
        finally:
            await mesh.stop()


async def test_a_shared_session_is_left_as_it_was(proxy: Proxy, tmp_path: Path, namespace: str):
    """In transaction mode nothing of ours stays behind for others who get the same connection."""
    extra = "default_pool_size=1"
    async with _bouncer(tmp_path, proxy.dsn, "transaction", extra) as by:
        async with await connect(
            by, direct_dsn=proxy.dsn, namespace=namespace, migrate=True
        ) as client:
            await client.list()
        other = await asyncpg.connect(by, statement_cache_size=0)
        assert "public" in await other.fetchval("show search_path")
        assert await other.fetchval("show enable_seqscan") == "on"
        await other.close()


@pytest.mark.parametrize("extra", ["", "server_round_robin=1"])
async def test_a_shared_session_alone_is_refused_at_the_door(
    proxy: Proxy, tmp_path: Path, extra: str
):
    """`connect` says what is wrong and what to give, before anything is lost by it."""
    async with _bouncer(tmp_path, proxy.dsn, "transaction", extra) as by:
        with pytest.raises(ConfigurationError, match=r"transaction mode.*direct_dsn="):
            await connect(by, namespace="bounced", migrate=True)
        with pytest.raises(ConfigurationError, match="direct_dsn goes, too"):
            await connect(by, direct_dsn=by, namespace="bounced", migrate=True)


async def test_statement_mode_is_refused(proxy: Proxy, tmp_path: Path):
    """There a transaction of two statements is none: no direct way makes up for that."""
    async with _bouncer(tmp_path, proxy.dsn, "statement", "") as by:
        with pytest.raises(ConfigurationError, match="statement mode"):
            await connect(by, direct_dsn=proxy.dsn, namespace="bounced", migrate=True)


async def test_a_lent_pool_behind_transaction_mode(proxy: Proxy, tmp_path: Path, namespace: str):
    """An application's pool is found out about as well, and has a direct way beside it."""
    async with _bouncer(tmp_path, proxy.dsn, "transaction", "") as by:
        pool = await asyncpg.create_pool(by, min_size=1, max_size=3, statement_cache_size=0)
        with pytest.raises(ConfigurationError, match="direct_dsn="):
            await connect(pool, namespace=namespace, migrate=True)
        async with await connect(
            pool, direct_dsn=proxy.dsn, namespace=namespace, migrate=True
        ) as client:
            await _works(client)
        await pool.close()


async def test_a_direct_way_to_another_database_is_refused(dsn: str, proxy: Proxy):
    """A wake-up that is sent in one database is not heard in another."""
    admin = await asyncpg.connect(dsn)
    await admin.execute('create database "elsewhere"')
    name = urlsplit(proxy.dsn).path
    try:
        with pytest.raises(ConfigurationError, match="'elsewhere'"):
            await connect(proxy.dsn, direct_dsn=proxy.dsn.replace(f"{name}?", "/elsewhere?"))
    finally:
        await admin.execute('drop database "elsewhere" with (force)')
        await admin.close()
