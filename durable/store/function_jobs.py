"""Runs of functions, read as jobs of the app that their task queue is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from durable.postgres.database import Database, Row
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

    async def ended_since(
        self, queue: str, workflows: Sequence[str] | None, since: datetime
    ) -> list[int]:
        """The runs that ended on a task queue since a moment; None: of every workflow."""
        names = None if workflows is None else list(workflows)
        bound = self._sql.bind("ended_since", queue=queue, workflows=names, since=since)
        return [row["run_id"] for row in await self._db.read(*bound)]

    async def subscribe(self, queue: str, subscriber: str, channels: Mapping[str, str]) -> None:
        """Have the channel of each topic notified of ends, for some minutes."""
        await self._db.fetch(
            *self._sql.bind(
                "subscribe",
                queue=queue,
                subscriber=subscriber,
                topics=list(channels),
                channels=list(channels.values()),
            )
        )

    async def unsubscribe(self, queue: str, subscriber: str, topics: Sequence[str]) -> None:
        """Have these notified no more."""
        bound = self._sql.bind(
            "unsubscribe", queue=queue, subscriber=subscriber, topics=list(topics)
        )
        await self._db.fetch(*bound)
