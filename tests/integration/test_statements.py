"""Postgres understands every statement: its tables, columns, parameters and rows."""

from __future__ import annotations

import asyncpg

from durable.postgres.database import Database
from tests.sql_files import sql_files

TEXTS = {"create_schema", "drop_index", "create_migrations", "create_revisions"}  # not prepared


async def test_every_statement_can_be_prepared(database: Database) -> None:
    """A name that no table and no field has is found here, whatever calls the statement."""
    connection = await asyncpg.connect(database.dsn)
    refused = {}
    for (_, path), file in sql_files().items():
        statements = file.load(database.schema)
        for name in statements:
            if name in TEXTS:
                continue
            try:
                await connection.prepare(statements[name])
            except asyncpg.PostgresError as error:
                refused[path, name] = str(error)
    await connection.close()
    assert refused == {}
