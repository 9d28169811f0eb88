"""The schema: the sum of its migrations, whoever applies them, and usable by those who may not."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

import durable
from durable.composition import connect
from durable.postgres import migrator as migrating
from durable.postgres.database import Database
from durable.postgres.errors import ConnectionLost
from durable.postgres.migrator import migrate, migrations, pending
from durable.worker.worker import Worker
from tests.waiting import eventually

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


async def _catalog(dsn: str, schema: str) -> set[str]:
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


@pytest.fixture
def namespace(unmigrated: str) -> str:
    """A schema that is not there yet."""
    return unmigrated


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
    clients = await asyncio.gather(
        *[connect(dsn, namespace=namespace, migrate=True) for _ in range(10)]
    )
    try:
        counts = await asyncio.gather(*[client.count() for client in clients])
        assert counts == [0] * 10
    finally:
        for client in clients:
            await client.close()
    connection = await asyncpg.connect(dsn)
    numbers = await connection.fetch(
        f"select number from {namespace}.revisions where applied_at is not null order by number"
    )
    await connection.close()
    assert [r["number"] for r in numbers] == [m.number for m in migrations()]


def _newer(text: str, *, number: int = 9001) -> list[migrating.Migration]:
    return [*migrations(), migrating.Migration(number, "later", text)]


async def test_a_new_schema_is_made_whole_or_not_at_all(
    dsn: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails while nobody uses the schema leaves nothing behind."""
    known = _newer("create table durable.half (n int); select 1 / 0")
    monkeypatch.setattr(migrating, "migrations", lambda: known)
    opened = await Database.open(dsn, schema=namespace)
    with pytest.raises(durable.DatabaseError, match="division by zero"):
        await migrate(opened)
    assert await opened.fetchval("select to_regnamespace($1)", namespace) is None
    await opened.close()


SEVERAL = """
-- A table and its index.
create table durable.more (id bigint primary key, told integer);
create index more_told on durable.more (id) where told is not null;
insert into durable.more select n, 0 from generate_series(1, 25) n;
-- batched: ten at a time.
with batch as (
    select id from durable.more where id > $1 order by id limit 10
), told as (
    update durable.more m set told = told + 1 from batch b where m.id = b.id
)
select max(id) from batch;
create function durable.more_of(n bigint) returns boolean
language sql begin atomic select case told when 1 then true end from durable.more where id = n; end;
alter table durable.jobs add column more text;
create index jobs_more on durable.jobs (more) where more is not null;
"""


class _Cut(Exception):
    """The migrator died here."""


class _Cutting:
    """A connection that dies before each statement that is sent by it, and after it, once."""

    def __init__(self, connection: asyncpg.Connection, done: set[str]) -> None:
        self._connection = connection
        self._done = done

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)
        if name not in ("execute", "fetch", "fetchrow", "fetchval"):
            return method

        async def run(*args: Any) -> Any:
            self._cut("before", *args)
            answer = await method(*args)
            self._cut("after", *args)
            return answer

        return run

    def _cut(self, *said: Any) -> None:
        where = repr(said)
        if where not in self._done:
            self._done.add(where)
            self._connection.terminate()
            raise _Cut


async def test_a_migration_goes_on_wherever_it_was_interrupted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The migrator dies before and after each of its statements, and each takes effect once."""
    known, done = _newer(SEVERAL), set[str]()
    opening = migrating.open_connection

    async def cutting(*args: Any, **kwargs: Any) -> Any:
        return _Cutting(await opening(*args, **kwargs), done)

    monkeypatch.setattr(migrating, "migrations", lambda: known)
    monkeypatch.setattr(migrating, "open_connection", cutting)
    monkeypatch.setattr(migrating, "LOCK_EVERY", 0.001)
    deaths = 0
    while await pending(database):
        try:
            assert await migrate(database) == known[-1:]
        except (_Cut, ConnectionLost):
            deaths += 1
    assert deaths > 40
    schema = database.schema
    assert await database.fetchval(f"select sum(told) from {schema}.more") == 25
    assert await database.fetchval(f"select {schema}.more_of(7)") is True
    assert await database.fetchval("select count(*) from pg_index where not indisvalid") == 0


async def test_half_an_index_is_made_anew(
    database: Database, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it waits for older transactions, it leaves an invalid index to the next run."""
    known = _newer("create index jobs_more on durable.jobs (hold)")
    monkeypatch.setattr(migrating, "migrations", lambda: known)
    schema = database.schema
    older, admin = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    half = "select not indisvalid from pg_index where indexrelid = to_regclass($1)"
    async with older.transaction():
        await older.fetch(f"select from {schema}.jobs")
        migrating_now = asyncio.create_task(migrate(database))
        await eventually(lambda: admin.fetchval(half, f"{schema}.jobs_more"))
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'durable migrations' and query ilike $1",
            f"create index concurrently%{schema}%",
        )
        with pytest.raises(ConnectionLost):
            await migrating_now
    assert await admin.fetchval(half, f"{schema}.jobs_more") is True
    assert await migrate(database) == known[-1:]
    assert await admin.fetchval(half, f"{schema}.jobs_more") is False
    await older.close()
    await admin.close()


async def test_who_waits_for_a_table_does_not_stop_the_others(
    database: Database, dsn: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While a transaction holds the table, the migration steps back and comes again."""
    known = _newer("alter table durable.jobs add column more text")
    monkeypatch.setattr(migrating, "migrations", lambda: known)
    caplog.set_level("INFO", "durable")
    schema = database.schema
    older, other = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    async with older.transaction():
        await older.fetch(f"select from {schema}.jobs")
        migrating_now = asyncio.create_task(migrate(database))
        waits = "select count(*) > 0 from pg_locks where relation = to_regclass($1) and not granted"
        await eventually(lambda: other.fetchval(waits, f"{schema}.jobs"))
        began = time.monotonic()
        await other.execute(f"delete from {schema}.jobs")
        assert time.monotonic() - began < 10
        assert not migrating_now.done()
    assert await migrating_now == known[-1:]
    assert "its table is locked" in caplog.text
    await older.close()
    await other.close()


async def test_an_older_build_starts_and_works_beside_a_newer_schema(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Migrations only add, so an older process goes on, and may start, until one says otherwise."""
    old = migrations()
    known = _newer("alter table durable.jobs add column more text")
    monkeypatch.setattr(migrating, "migrations", lambda: known)
    assert await migrate(database) == known[-1:]
    monkeypatch.setattr(migrating, "migrations", lambda: old)
    assert await pending(database) == []
    async with (
        await connect(database.dsn, namespace=database.schema, migrate=True) as client,
        Worker(client, workflows=[doubled], activities=[double]),
    ):
        assert await client.execute(doubled(4)) == 8


async def test_the_first_release_sees_only_what_it_ships(database: Database) -> None:
    """It refuses to start beside a number in `migrations` that it does not know: there is none."""
    rows = await database.fetch(f"select number from {database.schema}.migrations")
    assert {r["number"] for r in rows} == set(range(1, 8))


async def test_a_migration_may_say_who_is_too_old_for_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Builds that end before the number that it names are refused, the first release among them."""
    old = migrations()
    known = _newer("-- Takes away.\n-- oldest: 9000\nalter table durable.jobs drop column token")
    monkeypatch.setattr(migrating, "migrations", lambda: known)
    assert await migrate(database) == known[-1:]
    rows = await database.fetch(f"select number from {database.schema}.migrations")
    assert 9001 in {r["number"] for r in rows}
    monkeypatch.setattr(migrating, "migrations", lambda: old)
    with pytest.raises(durable.ConfigurationError, match=r"later version.*9001.*upgrade"):
        await pending(database)
    skipping = migrating.Migration(9000, "near", "select 1")
    monkeypatch.setattr(migrating, "migrations", lambda: [*old, skipping])
    assert await pending(database) == [skipping]


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
        await connect(role, namespace=namespace, migrate=True)


async def test_the_owner_of_an_empty_schema_may_fill_it(
    role: str, dsn: str, namespace: str
) -> None:
    """A schema made by an administrator, for a role that may not make schemas itself."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"create schema {namespace} authorization {urlsplit(role).username}")
    await connection.close()
    async with await connect(role, namespace=namespace, migrate=True) as client:
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
        await connect(role, namespace=schema, migrate=True) as client,
        Worker(client, workflows=[doubled], activities=[double]),
    ):
        assert await client.execute(doubled(4)) == 8


async def test_new_tables_are_open_to_who_may_use_the_old_ones(
    role: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role that was given rights on all tables there were works on when there are more."""
    name, schema = urlsplit(role).username, database.schema
    await database.fetch(f"drop table {schema}.revisions")
    await database.fetch(f"grant usage on schema {schema} to {name}")
    await database.fetch(f"grant select, insert on all tables in schema {schema} to {name}")
    known = [*migrations()[:7], migrating.Migration(8, "more", "create table durable.more (n int)")]
    monkeypatch.setattr(migrating, "migrations", lambda: known)
    assert await migrate(database) == known[-1:]
    connection = await asyncpg.connect(role)
    for table, right in [("more", "insert"), ("revisions", "select")]:
        assert await connection.fetchval(
            "select has_table_privilege($1, $2)", f"{schema}.{table}", right
        )
    assert not await connection.fetchval(
        "select has_table_privilege($1, 'delete')", f"{schema}.more"
    )
    await connection.close()


async def test_those_who_start_while_a_migration_runs_wait_for_its_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten upgrades at once each step is made by one, and all find it made."""
    known = _newer(SEVERAL)
    monkeypatch.setattr(migrating, "migrations", lambda: known)
    done = await asyncio.gather(*[migrate(database) for _ in range(10)])
    assert sorted(map(len, done)) == [0] * 9 + [1]
    assert await database.fetchval(f"select sum(told) from {database.schema}.more") == 25


@pytest.mark.parametrize("bad", ["Upper", "9nine", "pg_mine", "a" * 41, "x; drop table jobs", ""])
async def test_a_namespace_is_an_identifier_or_refused(dsn: str, bad: str) -> None:
    """It becomes part of SQL text: nothing else passes."""
    with pytest.raises(durable.ConfigurationError, match="namespace"):
        await connect(dsn, namespace=bad, migrate=True)
