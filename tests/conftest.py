"""Fixtures: one Postgres for the whole session, one schema for each test.

The server is the embedded one, started in a directory of the session's own, unless
DURABLE_TEST_DATABASE_URL names another. Schemas are used again by later tests (`schema_pool`).
"""

from __future__ import annotations

import asyncio
import compileall
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import settings

from durable.client.client import Client
from durable.composition import connect
from durable.postgres.database import Database
from durable.postgres.migrator import migrate
from tests.schema_pool import SchemaPool
from tests.servers import started

ROOT = Path(__file__).parents[1]
GIVEN = "DURABLE_TEST_DATABASE_URL"


def pytest_configure(config: pytest.Config) -> None:
    """Compile the sources once: where Python may not write bytecode, each process would.

    The suite starts a thousand processes, and compiling is most of what a short one does. What
    tests write themselves is not compiled: they change it within a second.
    """
    settings.register_profile("suite", deadline=None)  # how long an example takes decides nothing
    settings.load_profile("suite")
    if not hasattr(config, "workerinput"):
        for name in ("durable", "tests", "benchmarks", "examples"):
            compileall.compile_dir(ROOT / name, quiet=1)


@pytest.fixture(scope="session")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The session's Postgres."""
    given = os.environ.get(GIVEN)
    if given:
        yield given
        return
    home: Path = tmp_path_factory.mktemp("pg") / ".durable"
    server = asyncio.run(started(home))
    asyncio.run(_hasten(server.dsn))
    yield server.dsn


async def _hasten(dsn: str) -> None:
    """What is written need not survive the machine: it is thrown away at the end."""
    direct = await asyncpg.connect(dsn)
    for setting in ("fsync", "full_page_writes"):
        await direct.execute(f"alter system set {setting} = off")
    await direct.execute("select pg_reload_conf()")
    await direct.close()


@pytest.fixture(scope="session")
def schema_pools() -> Iterator[dict[str, SchemaPool]]:
    """The pool of each server, by its DSN: some tests have a server of their own."""
    pools: dict[str, SchemaPool] = {}
    yield pools
    for pool in pools.values():
        pool.close()


@pytest.fixture
def schemas(dsn: str, schema_pools: dict[str, SchemaPool]) -> SchemaPool:
    """The pool of the test's server."""
    if dsn not in schema_pools:
        schema_pools[dsn] = SchemaPool(dsn, recycles=dsn != os.environ.get(GIVEN))
    return schema_pools[dsn]


@pytest.fixture
def namespace(schemas: SchemaPool) -> Iterator[str]:
    """A migrated schema in which there is nothing, of the test's own while it runs."""
    name = schemas.lend()
    yield name
    schemas.take_back(name)


@pytest.fixture
def unmigrated(schemas: SchemaPool) -> Iterator[str]:
    """The name of a schema that is not there yet; what it holds is dropped afterwards."""
    name = f"t_{secrets.token_hex(6)}"
    yield name
    schemas.drop(name)


@pytest_asyncio.fixture
async def database(dsn: str, namespace: str) -> AsyncIterator[Database]:
    """The migrated schema, through the pool that the library uses."""
    opened = await Database.open(dsn, schema=namespace)
    await migrate(opened)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def client(dsn: str, namespace: str) -> AsyncIterator[Client]:
    """A connected client in a schema of its own."""
    connected = await connect(dsn, namespace=namespace, migrate=True)
    yield connected
    await connected.close()


@pytest_asyncio.fixture
async def direct(dsn: str, client: Client) -> AsyncIterator[asyncpg.Connection]:
    """A connection that looks into the test's schema."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": client.namespace})
    yield connection
    await connection.close()


@pytest.fixture
def no_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody polls or sweeps: what nothing wakes never comes, however long a test waits."""
    for interval in (
        "durable.worker.poll.POLL",
        "durable.worker.poll.REST",
        "durable.runtime.end_waiters.POLL",
        "durable.store.sweeper.SWEEP",
    ):
        monkeypatch.setattr(interval, 3_600.0)
