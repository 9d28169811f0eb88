"""Migrations: numbered `.sql` files, each applied once, under an advisory lock.

The schema is the sum of its migrations; `durable.migrations` records which ones were applied.
Concurrent starters wait for each other; who has no right to create tables goes on when the
schema is already there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

import asyncpg

from durable.errors import ConfigurationError
from durable.postgres.pool import Database
from durable.postgres.sql import Statements, in_schema

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    text: str


def migrations() -> list[Migration]:
    """Every migration that this version ships, in order."""
    found = []
    for file in resources.files("durable.postgres.migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match:
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda m: m.number)


async def pending(database: Database) -> list[Migration]:
    """The migrations that the namespace's schema lacks.

    Raises `ConfigurationError` when the schema was made by a later version of durable.
    """
    sql = Statements("durable.postgres", "sql/migrate.sql", database.schema)
    exists = await database.fetchval(sql["has_migrations"], database.schema)
    applied = {r["number"] for r in await database.fetch(sql["applied"])} if exists else set()
    known = migrations()
    unknown = sorted(applied - {m.number for m in known})
    if unknown:
        raise ConfigurationError(
            f"the schema {database.schema!r} was migrated by a later version of durable "
            f"(it has migration {unknown[-1]}, this version ends at {known[-1].number}): "
            "upgrade this process"
        )
    return [m for m in known if m.number not in applied]


async def migrate(database: Database) -> list[Migration]:
    """Bring the schema up to date and return what was applied, [] when nothing was missing.

    Raises `ConfigurationError` when migrations are missing and this role may not apply them.
    """
    missing = await pending(database)
    if not missing:
        return []
    sql = Statements("durable.postgres", "sql/migrate.sql", database.schema)
    async with database.connection() as connection:
        try:
            async with connection.transaction():
                return await _apply(connection, sql, database.schema)
        except asyncpg.InsufficientPrivilegeError as error:
            raise ConfigurationError(
                f"the schema {database.schema!r} lacks migrations {[m.number for m in missing]} "
                f"and this role may not apply them ({error}): "
                "run `durable migrate` once with a role that may"
            ) from error


async def _apply(connection: Any, sql: Statements, schema: str) -> list[Migration]:
    await connection.fetchval(sql["lock"], f"durable:{schema}")
    if not await connection.fetchval(sql["has_schema"], schema):
        await connection.execute(sql["create_schema"].replace("durable_schema", f'"{schema}"'))
    await connection.execute(sql["create"])
    done = {r["number"] for r in await connection.fetch(sql["applied"])}
    missing = [m for m in migrations() if m.number not in done]
    for migration in missing:
        await connection.execute(in_schema(migration.text, schema))
        await connection.execute(sql["record"], migration.number, migration.name)
    return missing
