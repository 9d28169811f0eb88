"""Schemas are used by one test after another, and no test sees what another did to one."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import pytest

from tests.schema_pool import SchemaPool

BUSY = """
insert into durable.members values (7, 'm', 'h', 1, now(), now());
update durable.sweeps set pruned_at = 'infinity';
select nextval('durable.ids');
"""


CHANGES = """
alter table {}.jobs add column more text
create table {}.more (n int)
create or replace function {}.now() returns timestamptz language sql as 'select null::timestamptz'
create index on {}.jobs (state)
alter table {}.jobs alter column state set default 'none'
grant select on {}.jobs to public
insert into {}.members select n, 'm', 'h', 1, now(), now() from generate_series(1, 50000) n
drop schema {} cascade
""".strip().splitlines()


@pytest.fixture
def pool(dsn: str) -> Iterator[SchemaPool]:
    """One of the test's own, on the server of all."""
    made = SchemaPool(dsn, recycles=True)
    yield made
    made.close()


@pytest.fixture
def run(dsn: str, pool: SchemaPool):
    """Runs statements on a connection that is closed again, and gives the rows of the last."""

    async def done(text: str, *args: str):
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetch(text, *args) if args else await connection.execute(text)
        finally:
            await connection.close()

    return lambda *given: pool._run(done(*given))


def test_a_schema_comes_back_as_it_was(pool: SchemaPool, run):
    """Rows are gone, sequences begin anew, and what the migrations inserted is there again."""
    name = pool.lend()
    tables = [row[0] for row in run("select tablename from pg_tables where schemaname = $1", name)]
    counts = " union all ".join(
        f"select '{t}', count(*) from {name}.{t} where $1 <> ''" for t in tables
    )
    before = run(counts, name)
    run(BUSY.replace("durable.", f"{name}."))
    assert run(counts, name) != before
    pool.take_back(name)
    assert pool.lend() == name
    assert run(counts, name) == before
    assert run(f"select 1 from {name}.sweeps where pruned_at < now() and $1 <> ''", name)
    (first,) = run("select nextval($1::text::regclass)", f"{name}.ids")
    assert first[0] == 1


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_not_used_again(pool: SchemaPool, run, change: str):
    """Whatever a test does to the schema itself, or much data, ends with it."""
    name = pool.lend()
    run(change.format(name))
    pool.take_back(name)
    assert pool.lend() != name
    assert run("select 1 from pg_namespace where nspname = $1", name) == []


async def _connected(dsn: str) -> asyncpg.Connection:
    return await asyncpg.connect(dsn)


def test_who_is_still_connected_keeps_the_schema_from_being_used_again(pool: SchemaPool, dsn: str):
    """What it writes late finds no schema, rather than that of another test."""
    name = pool.lend()
    late = pool._run(_connected(dsn))
    pool.take_back(name)
    assert pool.lend() != name
    with pytest.raises(asyncpg.UndefinedTableError):
        pool._run(late.execute(f"delete from {name}.jobs"))
    late.terminate()
