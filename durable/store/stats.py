"""What is counted over jobs, and which jobs have what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from durable.postgres.pool import Row
from durable.postgres.sql import Statements
from durable.protocol.queries import Selection


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row: `slot` in Unix seconds, None for all time; `value` a number as text."""

    app_id: str
    graph: str
    key: str
    slot: float | None
    kind: str
    target: str
    value: str | None
    run_id: int


class StatsStore:
    """The table `job_stats`, on a connection that the caller passes."""

    def __init__(self, schema: str) -> None:
        self._sql = Statements("durable.store", "sql/stats.sql", schema)

    async def count(self, connection: Any, found: Sequence[Measurement]) -> None:
        """Write what jobs count for."""
        await connection.execute(
            self._sql["count"],
            [m.app_id for m in found],
            [m.graph for m in found],
            [m.key for m in found],
            [m.slot for m in found],
            [m.kind for m in found],
            [m.target for m in found],
            [m.value for m in found],
            [m.run_id for m in found],
        )

    async def totals(self, connection: Any, chosen: Selection) -> list[Row]:
        """What was measured: whole, at, kind, target, and each number that could be asked for."""
        rows: list[Row] = await connection.fetch(
            self._sql["totals"], *_where(chosen), chosen.window.minutes
        )
        return rows

    async def ids(self, connection: Any, chosen: Selection) -> list[Row]:
        """Ids of jobs by step of time and facet: at, target, jids."""
        rows: list[Row] = await connection.fetch(
            self._sql["ids"], *_where(chosen), chosen.window.minutes, list(chosen.facets)
        )
        return rows

    async def indexes(self, connection: Any, chosen: Selection) -> list[Row]:
        """By what there are jobs: at (as they were counted), target."""
        rows: list[Row] = await connection.fetch(
            self._sql["indexes"], *_where(chosen), list(chosen.facets)
        )
        return rows

    async def latest(self, connection: Any, chosen: Selection) -> int | None:
        """The run id of the latest job, None when there is none."""
        run_id: int | None = await connection.fetchval(
            self._sql["latest"], *_where(chosen), list(chosen.facets)
        )
        return run_id

    async def jobs(
        self, connection: Any, chosen: Selection, between: tuple[int, int], limit: int
    ) -> list[Row]:
        """The first jobs after a run id and up to another: run_id, jid, running."""
        rows: list[Row] = await connection.fetch(
            self._sql["jobs"], *_where(chosen), list(chosen.facets), *between, limit
        )
        return rows

    async def forget_index(
        self, connection: Any, chosen: Selection, run_ids: Iterable[int]
    ) -> None:
        """These jobs have these facets no longer."""
        await connection.execute(
            self._sql["forget_index"],
            chosen.app_id,
            chosen.graph,
            chosen.key,
            list(chosen.facets),
            list(run_ids),
        )


def _where(chosen: Selection) -> tuple[str, str, str, float | None, float | None]:
    return chosen.app_id, chosen.graph, chosen.key, chosen.window.first, chosen.window.end
