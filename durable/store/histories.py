"""Histories as rows."""

from __future__ import annotations

from collections.abc import Sequence

from durable.postgres.connections import LONG_DEADLINE
from durable.postgres.database import Database, Row
from durable.postgres.sql import SqlFile
from durable.protocol.clock import from_datetime
from durable.protocol.facts import Fact, fact_kind
from durable.protocol.failures import failure_from_json

PAGE = 20_000  # facts


def fact_of(row: Row) -> Fact:
    """A row of `history` as a fact."""
    request = row["request_id"]
    return Fact(
        fact_kind(row["kind"]), from_datetime(row["at"]), row["number"], row["name"], row["data"],
        failure_from_json(row["failure"]), row["input"], None if request is None else str(request),
        row["graph_version"],
    )  # fmt: skip


SQL = SqlFile("durable.store", "sql/histories.sql")


class HistoryStore:
    """The `history` table."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._sql = SQL.load(database.schema)

    async def facts(self, run_ids: Sequence[int]) -> dict[int, list[Fact]]:
        """The facts of each run, in order; a run without any is missing.

        Those of one run are read in pages of `PAGE`; of several, all at once.
        """
        if len(run_ids) == 1:
            return await self._of_one(run_ids[0])
        found: dict[int, list[Fact]] = {}
        for row in await self._db.fetch(
            *self._sql.bind("facts", run_ids=list(run_ids)), deadline=LONG_DEADLINE
        ):
            found.setdefault(row["run_id"], []).append(fact_of(row))
        return found

    async def _of_one(self, run_id: int) -> dict[int, list[Fact]]:
        facts: list[Fact] = []
        after, full = 0, True
        while full:
            rows = await self._db.fetch(
                *self._sql.bind("page", run_id=run_id, after=after, limit=PAGE),
                deadline=LONG_DEADLINE,
            )
            facts += map(fact_of, rows)
            full = len(rows) == PAGE
            after = rows[-1]["revision"] if rows else after
        return {run_id: facts} if facts else {}
