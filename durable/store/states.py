"""What jobs of graphs keep of what they are about: written by steps, and found by conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from durable.postgres.pool import Row
from durable.postgres.sql import Statements


@dataclass(frozen=True, slots=True)
class SavedState:
    """Of a job, all as JSON text: None leaves what was there, `markers` are joined in."""

    run_id: int
    entity: str | None
    attributes: str | None
    document: str | None
    markers: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs to find.

    Args:
        app_id: whose. entity: of which kind, None for any.
        attributes: a JSON object of what they must have, None for nothing.
        parts: JSON objects of which the document contains one; none: it may be anything.
        conditions: each a path (JSON list of keys), an operator, and a value (JSON text).
    """

    app_id: str
    entity: str | None
    attributes: str | None
    parts: tuple[str, ...]
    conditions: tuple[tuple[str, str, str], ...]


class StateStore:
    """Attributes, documents and markers of graph jobs, on a connection that the caller passes."""

    def __init__(self, schema: str) -> None:
        self._sql = Statements("durable.store", "sql/states.sql", schema)

    async def write(self, connection: Any, states: Sequence[SavedState]) -> None:
        """Write the state of jobs that the caller holds."""
        await connection.execute(
            self._sql["write"],
            [s.run_id for s in states],
            [s.entity for s in states],
            [s.attributes for s in states],
            [s.document for s in states],
            [s.markers for s in states],
        )

    async def markers(self, connection: Any, run_id: int) -> str | None:
        """The markers of a job, a JSON object."""
        found: str | None = await connection.fetchval(self._sql["markers"], run_id)
        return found

    async def of_id(self, connection: Any, app_id: str, entity: str, jid: str) -> Row | None:
        """The newest job of an id, if it is of this kind."""
        row: Row | None = await connection.fetchrow(self._sql["of_id"], app_id, entity, jid)
        return row

    async def find(self, connection: Any, wanted: Wanted, page: tuple[int, int]) -> list[Row]:
        """Jobs, the newest first; `page` is how many, and how many are left out before."""
        conditions = [[c[column] for c in wanted.conditions] for column in range(3)]
        common = (wanted.app_id, wanted.entity, wanted.attributes, *conditions, *page)
        if wanted.parts:
            rows: list[Row] = await connection.fetch(
                self._sql["find_containing"], *common, list(wanted.parts)
            )
        elif wanted.attributes is not None:
            rows = await connection.fetch(self._sql["find_having"], *common)
        else:
            rows = await connection.fetch(self._sql["find"], *common)
        return rows
