"""Settings of a role or a database never change what is right; where we may not set, we refuse."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

import durable
from durable.composition import connect
from durable.errors import ConfigurationError
from durable.postgres.connections import open_connection
from durable.postgres.database import Database
from durable.postgres.migrator import migrate
from durable.store.runs import SQL, Message, RunStream
from durable.worker.worker import Worker
from tests.waiting import eventually

# What an administrator may have set, each with what it would break.
ODD = {
    "default_transaction_isolation": "serializable",
    "synchronous_commit": "off",
    "search_path": "pg_temp, public",
    "timezone": "Asia/Kathmandu",
    "datestyle": "German",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "row_security": "on",
    "lock_timeout": "1ms",
    "statement_timeout": "100ms",
    "idle_in_transaction_session_timeout": "5ms",
    "idle_session_timeout": "200ms",
    "enable_seqscan": "on",
}
OURS = {
    "default_transaction_isolation": "read committed",
    "synchronous_commit": "on",
    "search_path": "pg_catalog, pg_temp",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "row_security": "off",
    "lock_timeout": "0",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "30s",
    "idle_session_timeout": "0",
    "enable_seqscan": "off",
}


@pytest_asyncio.fixture
async def odd(dsn: str) -> AsyncIterator[str]:
    """A database all of whose settings are odd."""
    name = f"odd_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(dsn)
    await admin.execute(f"create database {name}")
    for setting, value in ODD.items():
        written = value if setting == "search_path" else f"'{value}'"
        await admin.execute(f"alter database {name} set {setting} = {written}")
    yield dsn.replace(f"{urlsplit(dsn).path}?", f"/{name}?", 1)
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


async def test_every_connection_of_ours_is_set(odd: str):
    """Pool, lanes and all others have what our statements rest on, whatever the defaults are."""
    database = await Database.open(odd)
    lane = await open_connection(database.address, "test", also="lane")
    show = "select n, current_setting(n) from unnest($1::text[]) n"
    for rows in (await database.fetch(show, list(OURS)), await lane.fetch(show, list(OURS))):
        assert dict(tuple(row) for row in rows) == OURS
    await lane.close()
    await database.close()


async def test_runs_go_on_by_odd_defaults(odd: str):
    """A worker and a client do their work on such a database."""

    @durable.activity
    async def double(n: int) -> int:
        return 2 * n

    @durable.workflow
    async def flow(n: int) -> int:
        await durable.sleep(0.06)
        return await double(n)

    async with (
        await connect(odd, migrate=True) as client,
        Worker(client, workflows=[flow], activities=[double]),
    ):
        assert await client.execute(flow(4)) == 8


async def test_what_waits_for_more_than_the_disk_is_left(odd: str):
    """`remote_apply` is stronger than what we need: it stays."""
    patient = dict.fromkeys(("statement_timeout", "lock_timeout", "idle_session_timeout"), "0")
    admin = await asyncpg.connect(odd, server_settings=patient)
    name = urlsplit(odd).path[1:]
    await admin.execute(f"alter database {name} set synchronous_commit = 'remote_apply'")
    await admin.close()
    database = await Database.open(odd)
    assert await database.fetchval("select current_setting('synchronous_commit')") == "remote_apply"
    await database.close()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("default_transaction_isolation", "repeatable read"),
        ("default_transaction_isolation", "serializable"),
        ("synchronous_commit", "off"),
        ("standard_conforming_strings", "off"),
    ],
)
async def test_a_lent_pool_is_refused_by_the_name_of_its_setting(
    dsn: str, namespace: str, setting: str, value: str
):
    """Nothing is set on sessions of others; what would break a guarantee is named at the door."""
    pool = await asyncpg.create_pool(dsn, min_size=1, server_settings={setting: value})
    with pytest.raises(ConfigurationError, match=f"{setting} is '{value}'"):
        await connect(pool, namespace=namespace, migrate=True)
    await pool.close()


async def test_each_connection_of_a_lent_pool_is_looked_at(dsn: str, namespace: str):
    """One that was opened later, after the role's settings had changed, is found as well."""
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2)
    database = await Database.within(pool, schema=namespace)
    pool.set_connect_args(dsn, server_settings={"default_transaction_isolation": "serializable"})
    async with database.connection():
        with pytest.raises(ConfigurationError, match="default_transaction_isolation"):
            await database.fetch("select 1")
    assert await database.fetch("select 1")  # the first one is still as good as it was
    await pool.close()


async def test_transactions_on_a_lent_pool_say_their_isolation(dsn: str, namespace: str):
    """Even if the application has changed its session since we looked."""
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=1, reset=_keep)
    database = await Database.within(pool, schema=namespace)
    await pool.execute("set default_transaction_isolation = 'serializable'")
    async with database.connection() as connection, connection.transaction():
        assert await connection.fetchval("show transaction_isolation") == "read committed"
    assert await pool.fetchval("show default_transaction_isolation") == "serializable"
    await pool.close()


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
@pytest.mark.parametrize("whose", ["own", "lent"])
async def test_what_arrives_while_a_run_is_given_back_wakes_it(
    dsn: str, namespace: str, level: str, whose: str
):
    """Whatever the database's default is, or was set on a lent session after we had looked."""
    name = f"odd_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(dsn)
    await admin.execute(f"create database {name}")
    where = dsn.replace(f"{urlsplit(dsn).path}?", f"/{name}?", 1)
    if whose == "own":
        await admin.execute(f"alter database {name} set default_transaction_isolation = '{level}'")
        database = await Database.open(where, schema=namespace)
    else:
        pool = await asyncpg.create_pool(where, min_size=1, max_size=1, reset=_keep)
        database = await Database.within(pool, schema=namespace)
        await pool.execute(f"set default_transaction_isolation = '{level}'")
    await migrate(database)
    direct = await asyncpg.connect(where, server_settings={"search_path": namespace})
    await direct.execute(
        """insert into worker_streams (id, run_id, stream_name, workflow_name, jid, msg_type,
            created_at, visible_at, reserved_by)
        values (1, 1, 'q', 'flow', 'one', 'turn', now(), now(), 7)"""
    )
    async with direct.transaction(isolation="read_committed"):
        # Holds the wake row; its holder is notified in vain.
        await direct.fetch(
            *SQL.load(namespace).bind("arrive", messages=[Message(1, "signal", "go", message="1")])
        )
        given_back = asyncio.create_task(RunStream(database).give_back(7, {1: None}))
        await eventually(lambda: direct.fetchval("select count(*) from pg_locks where not granted"))
    assert await given_back == [1]
    assert await direct.fetchval("select visible_at <= now() from worker_streams") is True
    await database.close()
    if whose == "lent":
        await pool.close()
    await direct.close()
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


async def _keep(_connection: object) -> None:
    """An application's own reset, which leaves the session as it is."""
