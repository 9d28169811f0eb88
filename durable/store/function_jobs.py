"""Runs of functions, read as jobs of the app that their task queue is."""

from __future__ import annotations

from collections.abc import Sequence

from durable.postgres.pool import Database, Row
from durable.postgres.sql import SqlFile

SQL = SqlFile("durable.store", "sql/function_jobs.sql")


class FunctionJobStore:
    """The rows of `jobs` that are runs of functions."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._sql = SQL.load(database.schema)

    async def find(self, queue: str, jid: str) -> Row | None:
        """The latest run of an id on a task queue; None where there is none."""
        rows = await self._db.read(*self._sql.bind("find", queue=queue, jid=jid))
        return rows[0] if rows else None

    async def ended(self, run_ids: Sequence[int]) -> list[Row]:
        """Those of the runs that have ended."""
        return await self._db.read(*self._sql.bind("ended", run_ids=list(run_ids)))
