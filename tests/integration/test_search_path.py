"""Whoever may create functions in `public` gets nobody to call them."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
import pytest_asyncio

import durable
from durable.client.client import Client
from durable.composition import connect
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from durable.worker.worker import Worker
from tests.integration.hotmesh.conftest import echo
from tests.sql_files import sql_files

# Each fits its call better than the function or operator that Postgres has, whose parameters are of
# any type. It leaves the name of whom it could have acted as.
TRAPS = [
    ("unnest(bigint[])", "setof bigint", "return query select * from pg_catalog.unnest($1)"),
    ("unnest(text[])", "setof text", "return query select * from pg_catalog.unnest($1)"),
    ("unnest(integer[])", "setof integer", "return query select * from pg_catalog.unnest($1)"),
    ("array_append(text[], text)", "text[]", "return pg_catalog.array_append($1, $2)"),
    ("array_append(bigint[], bigint)", "bigint[]", "return pg_catalog.array_append($1, $2)"),
    ("array_cat(text[], text[])", "text[]", "return pg_catalog.array_cat($1, $2)"),
    ("md5(character varying)", "text", "return pg_catalog.md5($1)"),
    ("pg_notify(text, unknown)", "void", "perform pg_catalog.pg_notify($1, $2::text)"),
    ("format(text, text)", "text", "return pg_catalog.format($1, $2)"),
    ("json_build_object(text, text)", "json", "return pg_catalog.json_build_object($1, $2)"),
]

GRAPH = """
app:
  id: trapped
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        w1: {type: worker, topic: work, job: {maps: {n: '{$self.output.data.n}'}},
             input: {maps: {n: '{t1.output.data.n}'}}}
      transitions: {t1: [{to: w1}]}
"""


@durable.activity
async def double(n: int) -> int:
    """Twice as much."""
    return 2 * n


go = durable.Signal("go", int)


@durable.workflow
async def flow(n: int) -> int:
    """All that takes statements: steps, a signal, a timer, attributes, a child."""
    durable.set_attributes(n=n)
    told = await go.receive()
    await durable.sleep(0.06)
    return await double(n) + told + await child(n)


@durable.workflow
async def child(n: int) -> int:
    """A run of its own."""
    return n


@dataclass
class Trapped:
    """A database in whose `public` somebody has laid traps."""

    dsn: str

    async def caught(self) -> set[str]:
        """Who fell into which."""
        connection = await asyncpg.connect(self.dsn)
        rows = await connection.fetch("select distinct who || ' by ' || what from public.loot")
        await connection.close()
        return {row[0] for row in rows}


@pytest_asyncio.fixture
async def trapped(dsn: str) -> AsyncIterator[Trapped]:
    """With Postgres 14's default grants, and a role that has no other right."""
    name, role = f"trap_{secrets.token_hex(4)}", f"mallory_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(dsn)
    await admin.execute(f"create database {name}")
    await admin.execute(f"create role {role} login password 'm'")
    there = dsn.replace(f"{urlsplit(dsn).path}?", f"/{name}?", 1)
    owner = await asyncpg.connect(there)
    await owner.execute("grant create, usage on schema public to public")
    mallory = await asyncpg.connect(there, user=role, password="m")  # noqa: S106
    await mallory.execute("create table public.loot (who text, what text)")
    await mallory.execute("grant insert on public.loot to public")
    for signature, result, body in TRAPS:
        await mallory.execute(
            f"create function public.{signature.replace('unknown', 'character varying')}"
            f" returns {result} language plpgsql as $$ begin"
            f" insert into public.loot values (current_user, '{signature}'); {body}; end $$"
        )
    await mallory.close()
    await owner.close()
    yield Trapped(there)
    await admin.execute(f"drop database {name} with (force)")
    await admin.execute(f"drop role {role}")
    await admin.close()


async def _everything(client: Client) -> None:
    async with Worker(client, workflows=[flow, child], activities=[double]):
        handles = [await client.start(flow(n)) for n in range(3)]
        for handle in handles:
            await handle.signal(go, 1)
        assert [await handle.result(timeout=60) for handle in handles] == [1, 4, 7]
        await client.list()
        await client.count()
        await handles[0].history()
    await client.prune(older_than="1 minute")


async def _graphs(client: Client) -> None:
    async with await HotMesh.init(
        app_id="trapped",
        engine={"connection": client},
        workers=[{"topic": "work", "callback": echo}],
    ) as mesh:
        await mesh.deploy(GRAPH)
        await mesh.activate("1")
        assert (await mesh.pubsub("t", {"n": 7}, timeout=60))["data"] == {"n": 7}


async def test_traps_are_traps(trapped: Trapped):
    """An ordinary session falls into them: what else is shown here says something."""
    owner = await asyncpg.connect(trapped.dsn)
    await owner.fetch("select * from unnest($1::bigint[])", [1])
    await owner.close()
    assert {one.split(" by ")[1] for one in await trapped.caught()} == {"unnest(bigint[])"}


async def test_nobody_falls_into_them_by_a_dsn(trapped: Trapped):
    """Functions and graphs, migrations first: nothing of ours calls what others have made."""
    async with await connect(trapped.dsn, migrate=True) as client:
        await _everything(client)
        await _graphs(client)
    assert await trapped.caught() == set()


async def test_nobody_falls_into_them_by_a_lent_pool(trapped: Trapped):
    """The search path is the application's there; what is called says where it is found."""
    pool = await asyncpg.create_pool(trapped.dsn, min_size=1, max_size=4)
    async with await connect(pool, migrate=True) as client:
        await _everything(client)
        await _graphs(client)
    await pool.close()
    assert await trapped.caught() == set()


async def test_functions_of_the_schema_mean_the_same_by_any_path(database: Database):
    """Those in SQL are bound when they are created, those in plpgsql have a path of their own."""
    unbound = await database.fetch(
        "select proname, proconfig from pg_proc where pronamespace = $1::text::regnamespace"
        " and prosqlbody is null"
        " and not coalesce('search_path=pg_catalog, pg_temp' = any(proconfig), false)",
        database.schema,
    )
    assert unbound == []


async def test_functions_in_sql_are_still_inlined(database: Database):
    """What every statement reads costs no call: a plan has its body in the place of its name."""
    schema = database.schema
    for statement in (
        f'select * from "{schema}".jobs where created_at < "{schema}".now()',
        f"select * from \"{schema}\".throttle_v1('a', 't', 'g')",
        f'select * from "{schema}".retention_v1(null, array[]::text[], null)',
    ):
        rows = await database.fetch(f"explain (verbose) {statement}")
        plan = "\n".join(row[0] for row in rows)
        assert not re.search(r"Function Scan.*_v1|\bnow\(\) *[<>)]|\.now\(\)", plan), plan


SPECIAL = {"extract"}  # it has a syntax of its own, by which only Postgres's is called
SEVERAL = re.compile(r"\bunnest\((?=[^()]*(?:\([^()]*\)[^()]*)*,)")  # this too, of several arrays


async def test_what_statements_call_is_qualified(database: Database):
    """No block of any file names a function of Postgres without its schema."""
    rows = await database.fetch("select distinct proname from pg_proc where pronamespace = 11")
    known = {row["proname"] for row in rows} - SPECIAL
    found = set()
    for (_, path), file in sql_files().items():
        statements = file.load("durable")
        for name in statements:
            bare = SEVERAL.sub("", re.sub(r"--[^\n]*|'(?:[^']|'')*'", "", statements[name]))
            called = set(re.findall(r'(?<![\w."$])([a-z_][a-z_0-9]*)\(', bare))
            found |= {(path, name, one) for one in called & known}
    assert not found
