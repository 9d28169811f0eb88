"""Histories as rows."""

from __future__ import annotations

from collections.abc import Sequence

from durable.postgres.connections import LONG_DEADLINE
from durable.postgres.pool import Database, Row
from durable.postgres.sql import Statements
from durable.protocol.clock import from_datetime
from durable.protocol.facts import Fact, fact_kind
from durable.protocol.failures import failure_from_json


def fact_of(row: Row) -> Fact:
    """A row of `history` as a fact."""
    return Fact(
        fact_kind(row["kind"]), from_datetime(row["at"]), row["number"], row["name"], row["data"],
        failure_from_json(row["failure"]), row["input"],
    )  # fmt: skip


class HistoryStore:
    """The `history` table."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._sql = Statements("durable.store", "sql/histories.sql", database.schema)

    async def facts(self, run_ids: Sequence[int]) -> dict[int, list[Fact]]:
        """The facts of each run, in order; a run without any is missing."""
        found: dict[int, list[Fact]] = {}
        for row in await self._db.fetch(self._sql["facts"], list(run_ids), deadline=LONG_DEADLINE):
            found.setdefault(row["run_id"], []).append(fact_of(row))
        return found
