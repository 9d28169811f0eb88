"""A pool of the caller's in the place of a DSN."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

import durable
from durable.composition import connect
from durable.errors import ConfigurationError, DatabaseError
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from durable.worker.worker import Worker
from tests.integration.hotmesh.conftest import echo

GRAPH = """
app:
  id: pooled
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        w1: {type: worker, topic: work, job: {maps: {n: '{$self.output.data.n}'}},
             input: {maps: {n: '{t1.output.data.n}'}}}
      transitions: {t1: [{to: w1}]}
"""


@durable.workflow
async def same(n: int) -> int:
    """What it got."""
    return n


@pytest_asyncio.fixture
async def pool(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool as applications make them."""
    made = await asyncpg.create_pool(
        dsn, min_size=1, max_size=4, server_settings={"application_name": "theirs"}
    )
    yield made
    await made.close()


async def test_a_client_and_a_worker_by_a_pool(pool: asyncpg.Pool, namespace: str) -> None:
    """Everything works; the pool is used, stays open, and is as it was."""
    async with (
        await connect(pool, namespace=namespace, migrate=True) as client,
        Worker(client, workflows=[same]),
    ):
        assert await client.execute(same(3)) == 3
        names = await pool.fetch("select distinct application_name as name from pg_stat_activity")
        # What cannot be shared is opened beside the pool, and says whose it is.
        assert {"theirs", "durable listen", "durable member", "durable commits"} <= {
            row["name"] for row in names
        }
        assert "@" in client.dsn
    assert await pool.fetchval("show application_name") == "theirs"
    with pytest.raises(DatabaseError, match="closed"):
        await client.count()


async def test_a_mesh_by_a_pool_and_one_by_a_client_of_it(
    pool: asyncpg.Pool, namespace: str
) -> None:
    """`connection` may be a pool, or a client that has one."""
    async with await connect(pool, namespace=namespace, migrate=True) as client:
        for connection in (pool, client):
            async with await HotMesh.init(
                app_id="pooled",
                engine={"connection": connection},
                workers=[{"topic": "work", "callback": echo}],
                namespace=namespace,
            ) as mesh:
                await mesh.deploy(GRAPH)
                await mesh.activate("1")
                out = await mesh.pubsub("t", {"n": 7}, timeout=60)
                assert out["data"] == {"n": 7}
    assert await pool.fetchval("select 1") == 1


async def test_direct_connections_use_what_the_pool_uses_now(
    pool: asyncpg.Pool, dsn: str, namespace: str
) -> None:
    """Arguments that were changed since, such as a new password, hold for the next connection."""
    opened = await Database.within(pool, schema=namespace)
    pool.set_connect_args(dsn, server_settings={"application_name": "theirs", "work_mem": "5MB"})
    connection = await opened.address.connect("ours")
    assert await connection.fetchval("show work_mem") == "5MB"
    assert await connection.fetchval("show application_name") == "ours"
    await connection.close()


async def test_a_pool_that_decodes_json_is_refused(dsn: str, namespace: str) -> None:
    """It would hand us values where we expect text: said at the door, with what to do."""

    async def init(connection: Any) -> None:
        await connection.set_type_codec(
            "json", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )

    async with asyncpg.create_pool(dsn, min_size=1, max_size=1, init=init) as made:
        with pytest.raises(ConfigurationError, match="decodes json"):
            await connect(made, namespace=namespace, migrate=True)
        with pytest.raises(ConfigurationError, match="asyncpg pool"):
            await HotMesh.init(app_id="a", engine={"connection": object()})
