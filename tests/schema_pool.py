"""Migrated schemas that tests use one after another: migrating costs more than most tests do.

A schema that comes back is emptied, its sequences begin anew, and what the migrations inserted is
inserted again. It is dropped instead where the next test could see something of the last one: a
process or a task that is still connected, a table or a function that was changed, much data.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg

from durable.postgres.database import Database
from durable.postgres.migration_script import steps
from durable.postgres.migrator import migrate, migrations
from durable.postgres.sql import in_schema

T = TypeVar("T")

NAME = "schema pool"  # of its connection, in `pg_stat_activity`
LEAVING_SECONDS_MAX = 0.5  # in which connections that were closed have ended
BYTES_MAX = 4 << 20  # of a schema that is worth emptying; an empty one has 1 MB
KEPT = ("migrations", "revisions")  # what they say stays true

# Each row of the catalog that describes the schema, with the transaction that wrote it.
SHAPE = """
with tables as (
    select oid, relkind from pg_class where relnamespace = $1::regnamespace
), found (entry) as (
    select format('n%s', xmin) from pg_namespace where oid = $1::regnamespace
    union all
    select format('c%s %s', oid, xmin) from pg_class where relnamespace = $1::regnamespace
    union all
    select format('p%s %s', oid, xmin) from pg_proc where pronamespace = $1::regnamespace
    union all
    select format('t%s %s', oid, xmin) from pg_type where typnamespace = $1::regnamespace
    union all
    select format('k%s %s', oid, xmin) from pg_constraint where connamespace = $1::regnamespace
    union all
    select format('i%s %s', indexrelid, i.xmin)
    from pg_index i join tables on tables.oid = i.indrelid
    union all
    select format('g%s %s', t.oid, t.xmin) from pg_trigger t join tables on tables.oid = t.tgrelid
    union all
    select format('d%s %s', d.oid, d.xmin) from pg_attrdef d join tables on tables.oid = d.adrelid
    union all
    select format('s%s %s', seqrelid, s.xmin)
    from pg_sequence s join tables on tables.oid = s.seqrelid
    union all
    select format('a%s %s %s', attrelid, attnum, a.xmin)
    from pg_attribute a join tables on tables.oid = a.attrelid
    where tables.relkind = 'r' and attnum > 0
)
select md5(string_agg(entry, ',' order by entry)) from found
"""
TABLES = "select relname from pg_class where relnamespace = $1::regnamespace and relkind = 'r'"
SEQUENCES = """
select c.oid::regclass::text as name, s.seqstart as first
from pg_class c join pg_sequence s on s.seqrelid = c.oid where c.relnamespace = $1::regnamespace
"""
BYTES = """
select sum(pg_total_relation_size(oid))
from pg_class where relnamespace = $1::regnamespace and relkind = 'r'
"""
OTHERS = """
select count(*) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and application_name <> $1
"""


@dataclass(frozen=True, slots=True)
class _Schema:
    """One that was migrated, as it was then, and what makes it so again."""

    name: str
    shape: str
    emptying: str


class SchemaPool:
    """The schemas of one server that nobody else uses.

    Args:
        dsn: of the server.
        recycles: False where others use it as well: then each schema is new, and dropped.
    """

    def __init__(self, dsn: str, *, recycles: bool) -> None:
        self._dsn = dsn
        self._recycles = recycles
        self._loop = asyncio.new_event_loop()
        self._connection: asyncpg.Connection | None = None
        self._idle: list[_Schema] = []
        self._lent: dict[str, _Schema] = {}

    def lend(self) -> str:
        """The name of a migrated schema that is as good as new."""
        schema = self._idle.pop() if self._idle else self._run(self._made())
        self._lent[schema.name] = schema
        return schema.name

    def take_back(self, name: str) -> None:
        """Empty a schema for the next test, or drop it."""
        schema = self._lent.pop(name)
        if self._run(self._emptied(schema)):
            self._idle.append(schema)
        else:
            self.drop(name)

    def drop(self, name: str) -> None:
        """Drop a schema, if there is one of this name."""
        self._run(self._execute(f'drop schema if exists "{name}" cascade'))

    def close(self) -> None:
        """Drop what is left where others use the server; the pool is not used after that."""
        if not self._recycles:
            for name in self._lent:
                self.drop(name)
        if self._connection is not None:
            self._connection.terminate()
            self._run(asyncio.sleep(0))  # so that the transport is closed before its loop is
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(coroutine)

    async def _open(self) -> asyncpg.Connection:
        """The one connection; another where a test ended it, or restarted the server."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._dsn, server_settings={"application_name": NAME}
            )
        return self._connection

    async def _execute(self, text: str) -> None:
        await (await self._open()).execute(text)

    async def _made(self) -> _Schema:
        name = f"t_{secrets.token_hex(6)}"
        database = await Database.open(self._dsn, schema=name, size=1)
        await migrate(database)
        await database.close()
        connection = await self._open()
        tables = [f'"{name}".{row[0]}' for row in await connection.fetch(TABLES, name)]
        emptying = [
            "set session_replication_role = replica",
            *[f"delete from {table}" for table in tables if not table.endswith(KEPT)],
            *[
                f"select setval('{row['name']}', {row['first']}, false)"
                for row in await connection.fetch(SEQUENCES, name)
            ],
            *_inserted(name),
            "reset session_replication_role",
        ]
        shape = await connection.fetchval(SHAPE, name)
        return _Schema(name, shape, ";\n".join(emptying))

    async def _emptied(self, schema: _Schema) -> bool:
        """Whether it is as it was when it was made."""
        if not self._recycles:
            return False
        connection = await self._open()
        if not await self._is_left(connection):
            return False
        if await connection.fetchval("select to_regnamespace($1)", schema.name) is None:
            return False
        if await connection.fetchval(SHAPE, schema.name) != schema.shape:
            return False
        if await connection.fetchval(BYTES, schema.name) > BYTES_MAX:
            return False
        await connection.execute(schema.emptying)
        return True

    async def _is_left(self, connection: asyncpg.Connection) -> bool:
        """Whether nobody else is connected, once those who were leaving have left."""
        deadline = self._loop.time() + LEAVING_SECONDS_MAX
        while await connection.fetchval(OTHERS, NAME):
            if self._loop.time() > deadline:
                return False
            await asyncio.sleep(0.005)
        return True


def _inserted(name: str) -> list[str]:
    """The statements by which migrations insert rows."""
    return [
        step.text
        for migration in migrations()
        for step in steps(in_schema(migration.text, name))
        if step.kind == "plain" and re.match(r"insert\s+into\b", step.text, re.IGNORECASE)
    ]
