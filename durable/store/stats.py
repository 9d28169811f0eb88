"""What is counted over jobs, and which jobs have what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from durable.descriptor.queries import Selection
from durable.postgres.columns import BigInt, Float, Text
from durable.postgres.connections import Connection
from durable.postgres.database import Row
from durable.postgres.sql import SqlFile


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row: `slot` in Unix seconds, None for all time; `value` a number as text."""

    app_id: Text
    graph: Text
    key: Text
    slot: Float | None
    kind: Text
    target: Text
    value: Text | None
    run_id: BigInt


SQL = SqlFile("durable.store", "sql/stats.sql", found=Measurement)


class StatsStore:
    """The table `job_stats`, on a connection that the caller passes.

    Args:
        schema: the namespace.
    """

    def __init__(self, schema: str) -> None:
        self._sql = SQL.load(schema)

    async def count(self, connection: Connection, found: Sequence[Measurement]) -> None:
        """Write what jobs count for."""
        await connection.execute(*self._sql.bind("count", found=found))

    async def totals(self, connection: Connection, chosen: Selection) -> list[Row]:
        """What was measured: whole, at, kind, target, and each number that could be asked for."""
        rows: list[Row] = await connection.fetch(
            *self._sql.bind("totals", **_where(chosen), minutes=chosen.window.minutes)
        )
        return rows

    async def ids(self, connection: Connection, chosen: Selection) -> list[Row]:
        """Ids of jobs by step of time and facet: at, target, jids."""
        rows: list[Row] = await connection.fetch(
            *self._sql.bind(
                "ids", **_where(chosen), minutes=chosen.window.minutes, facets=list(chosen.facets)
            )
        )
        return rows

    async def indexes(self, connection: Connection, chosen: Selection) -> list[Row]:
        """By what there are jobs: at (as they were counted), target."""
        rows: list[Row] = await connection.fetch(
            *self._sql.bind("indexes", **_where(chosen), facets=list(chosen.facets))
        )
        return rows

    async def latest(self, connection: Connection, chosen: Selection) -> int | None:
        """The run id of the latest job, None when there is none."""
        run_id: int | None = await connection.fetchval(
            *self._sql.bind("latest", **_where(chosen), facets=list(chosen.facets))
        )
        return run_id

    async def jobs(
        self, connection: Connection, chosen: Selection, between: tuple[int, int], limit: int
    ) -> list[Row]:
        """The first jobs after a run id and up to another: run_id, jid, running."""
        rows: list[Row] = await connection.fetch(
            *self._sql.bind(
                "jobs",
                **_where(chosen),
                facets=list(chosen.facets),
                after=between[0],
                last=between[1],
                limit=limit,
            )
        )
        return rows

    async def forget_index(
        self, connection: Connection, chosen: Selection, run_ids: Iterable[int]
    ) -> None:
        """These jobs have these facets no longer."""
        await connection.execute(
            *self._sql.bind(
                "forget_index",
                app_id=chosen.app_id,
                graph=chosen.graph,
                key=chosen.key,
                facets=list(chosen.facets),
                run_ids=list(run_ids),
            )
        )


def _where(chosen: Selection) -> dict[str, object]:
    """Which measurements, as the statements take them."""
    return {
        "app_id": chosen.app_id, "graph": chosen.graph, "key": chosen.key,
        "first": chosen.window.first, "end": chosen.window.end,
    }  # fmt: skip
