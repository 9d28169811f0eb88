"""What jobs of graphs keep of what they are about: written by steps, and found by conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from durable.postgres.columns import BigInt, Text
from durable.postgres.connections import Connection
from durable.postgres.database import Row
from durable.postgres.sql import SqlFile


@dataclass(frozen=True, slots=True)
class SavedState:
    """Of a job, all as JSON text: None leaves what was there, `markers` are joined in."""

    run_id: BigInt
    entity: Text | None
    attributes: Text | None
    document: Text | None
    markers: Text | None


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


SQL = SqlFile("durable.store", "sql/states.sql", states=SavedState)


class StateStore:
    """Attributes, documents and markers of graph jobs, on a connection that the caller passes."""

    def __init__(self, schema: str) -> None:
        self._sql = SQL.load(schema)

    async def write(self, connection: Connection, states: Sequence[SavedState]) -> None:
        """Write the state of jobs that the caller holds."""
        await connection.execute(*self._sql.bind("write", states=states))

    async def markers(self, connection: Connection, run_id: int) -> str | None:
        """The markers of a job, a JSON object."""
        found: str | None = await connection.fetchval(*self._sql.bind("markers", run_id=run_id))
        return found

    async def of_id(self, connection: Connection, app_id: str, entity: str, jid: str) -> Row | None:
        """The newest job of an id, if it is of this kind."""
        row: Row | None = await connection.fetchrow(
            *self._sql.bind("of_id", app_id=app_id, entity=entity, jid=jid)
        )
        return row

    async def find(
        self, connection: Connection, wanted: Wanted, page: tuple[int, int]
    ) -> list[Row]:
        """Jobs, the newest first; `page` is how many, and how many are left out before."""
        paths, operators, values = ([c[n] for c in wanted.conditions] for n in range(3))
        common = {
            "app_id": wanted.app_id, "entity": wanted.entity, "attributes": wanted.attributes,
            "paths": paths, "operators": operators, "values": values,
            "limit": page[0], "skipped": page[1],
        }  # fmt: skip
        if wanted.parts:
            bound = self._sql.bind("find_containing", parts=list(wanted.parts), **common)
        elif wanted.attributes is not None:
            bound = self._sql.bind("find_having", **common)
        else:
            bound = self._sql.bind("find", **common)
        rows: list[Row] = await connection.fetch(*bound)
        return rows
