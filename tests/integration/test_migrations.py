"""The schema: the sum of its migrations, whoever applies them, and usable by those who may not."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

import durable
from durable.app import connect
from durable.postgres import migrate as migrating
from durable.postgres.migrate import migrate, migrations, pending
from durable.postgres.pool import Database
from durable.worker.worker import Worker

CATALOG = """
    select 'column' as what, c.relname::text as name, a.attname::text as part,
        format_type(a.atttypid, a.atttypmod)
        || case when a.attnotnull then ' not null' else '' end
        || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as definition
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = $1::regnamespace and c.relkind in ('r', 'v', 'S')
    union all
    select 'index', tablename::text, indexname::text, indexdef
    from pg_indexes where schemaname = $1::regnamespace::text
    union all
    select 'function', proname::text, pg_get_function_identity_arguments(oid),
        prosrc || coalesce(pg_get_function_sqlbody(oid), '')
    from pg_proc where pronamespace = $1::regnamespace
    union all
    select 'constraint', conrelid::regclass::text, conname::text, pg_get_constraintdef(oid)
    from pg_constraint where connamespace = $1::regnamespace
    union all
    select 'options', relname::text, '', reloptions::text from pg_class
    where relnamespace = $1::regnamespace and reloptions is not null
    union all
    select 'migration', number::text, name, '' from {schema}.migrations
"""


async def _catalog(dsn: str, schema: str) -> set[tuple[Any, ...]]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(CATALOG.format(schema=schema), schema)
    await connection.close()
    return {tuple(str(v).replace(schema, "durable") for v in row) for row in rows}


@durable.activity
async def double(n: int) -> int:
    """Twice."""
    return 2 * n


@durable.workflow
async def doubled(n: int) -> int:
    """By an activity."""
    return await double(n)


async def test_the_schema_is_the_same_whether_made_at_once_or_step_by_step(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One migration after the other, as durable's versions came, gives what a fresh start gives."""
    known = migrations()
    numbers = [m.number for m in known]
    assert numbers == sorted(set(numbers))
    names = [f"t_{secrets.token_hex(6)}" for _ in range(2)]
    opened = [await Database.open(dsn, schema=name) for name in names]
    try:
        assert await migrate(opened[0]) == known
        for count in range(1, len(known) + 1):
            with monkeypatch.context() as patch:
                patch.setattr(migrating, "migrations", lambda count=count: known[:count])
                assert await migrate(opened[1]) == [known[count - 1]]
        first, second = [await _catalog(dsn, name) for name in names]
        assert first == second
        assert len(first) > 100
    finally:
        for database in opened:
            await database.fetch(f"drop schema {database.schema} cascade")
            await database.close()


async def test_ten_who_connect_at_once_apply_each_migration_once(dsn: str, namespace: str) -> None:
    """They wait for each other; nobody sees half a schema, nobody fails."""
    clients = await asyncio.gather(*[connect(dsn, namespace=namespace) for _ in range(10)])
    try:
        counts = await asyncio.gather(*[client.count() for client in clients])
        assert counts == [0] * 10
    finally:
        for client in clients:
            await client.close()
    connection = await asyncpg.connect(dsn)
    numbers = await connection.fetch(f"select number from {namespace}.migrations order by number")
    await connection.close()
    assert [r["number"] for r in numbers] == [m.number for m in migrations()]


async def test_a_migration_that_fails_leaves_nothing_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is missing is applied in one transaction."""
    known = migrations()
    broken = migrating.Migration(
        len(known) + 1, "broken", "create table durable.half (n int); select 1 / 0"
    )
    monkeypatch.setattr(migrating, "migrations", lambda: [*known, broken])
    with pytest.raises(durable.DatabaseError, match="division by zero"):
        await migrate(database)
    assert await pending(database) == [broken]
    assert await database.fetchval("select to_regclass($1)", f"{database.schema}.half") is None


async def test_a_schema_of_a_later_version_is_refused(database: Database) -> None:
    """An old process must not write to tables whose meaning it does not know."""
    await database.fetch(
        f"insert into {database.schema}.migrations (number, name) values (999, 'later')"
    )
    with pytest.raises(durable.ConfigurationError, match=r"later version.*999.*upgrade"):
        await connect(database.dsn, namespace=database.schema)


@pytest_asyncio.fixture
async def role(dsn: str) -> AsyncIterator[str]:
    """A role that may create nothing, as a DSN; it goes away with the test."""
    name, word = f"durable_test_{secrets.token_hex(4)}", secrets.token_hex(8)
    connection = await asyncpg.connect(dsn)
    database = await connection.fetchval("select current_database()")
    await connection.execute(f"create role {name} login password '{word}'")
    await connection.execute(f'revoke create on database "{database}" from public, {name}')
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    yield urlunsplit(parts._replace(netloc=f"{name}:{word}@{host}"))
    await connection.execute(f"drop owned by {name}")
    await connection.execute(f"drop role {name}")
    await connection.close()


async def test_who_may_not_create_is_told_what_to_do(role: str, namespace: str) -> None:
    """Without the schema and without the right to make it: the message names the command."""
    with pytest.raises(
        durable.ConfigurationError, match=rf"{namespace}.*may not apply.*durable migrate"
    ):
        await connect(role, namespace=namespace)


async def test_the_owner_of_an_empty_schema_may_fill_it(
    role: str, dsn: str, namespace: str
) -> None:
    """A schema made by an administrator, for a role that may not make schemas itself."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"create schema {namespace} authorization {urlsplit(role).username}")
    await connection.close()
    async with await connect(role, namespace=namespace) as client:
        assert await client.count() == 0


async def test_who_may_not_create_works_in_a_schema_that_is_there(
    role: str, database: Database
) -> None:
    """Rights on the rows are enough for client and worker."""
    name = urlsplit(role).username
    schema = database.schema
    await database.fetch(f"grant usage on schema {schema} to {name}")
    await database.fetch(
        f"grant select, insert, update, delete on all tables in schema {schema} to {name}"
    )
    await database.fetch(f"grant usage on all sequences in schema {schema} to {name}")
    async with (
        await connect(role, namespace=schema) as client,
        Worker(client, workflows=[doubled], activities=[double]),
    ):
        assert await client.execute(doubled(4)) == 8


@pytest.mark.parametrize("bad", ["Upper", "9nine", "pg_mine", "a" * 41, "x; drop table jobs", ""])
async def test_a_namespace_is_an_identifier_or_refused(dsn: str, bad: str) -> None:
    """It becomes part of SQL text: nothing else passes."""
    with pytest.raises(durable.ConfigurationError, match="namespace"):
        await connect(dsn, namespace=bad)
