"""Waits that a person is to end: the table `escalations`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from durable.postgres.columns import BigInt, Text
from durable.postgres.connections import Connection
from durable.postgres.database import Row
from durable.postgres.sql import SqlFile

FILTERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "role": "roles", "type": "types", "subtype": "subtypes", "entity": "entities",
        "status": "statuses", "assigned_to": "assignees", "job_id": "jids", "topic": "topics",
        "origin_id": "origins", "priority": "priorities",
    }
)  # fmt: skip
"""The columns that lists are filtered by, each with the parameter of its values."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A wait that has ended: that of (aid, dad), or all of a run (None); the payload is JSON."""

    run_id: BigInt
    dad: Text | None
    aid: Text | None
    status: Text
    payload: Text | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which escalations: values by column (any of them fits), metadata that they contain."""

    columns: Mapping[str, Sequence[object]] = field(default_factory=lambda: MappingProxyType({}))
    metadata: Mapping[str, object] | None = None
    available: bool | None = None

    @property
    def filters(self) -> dict[str, object]:
        """As the statements take them."""
        metadata = None if self.metadata is None else json.dumps(dict(self.metadata))
        by_column = {FILTERS[name]: self.columns.get(name) for name in FILTERS}
        return {**by_column, "metadata": metadata, "available": self.available}


SQL = SqlFile("durable.store", "sql/escalations.sql", closed=Closing)


class EscalationStore:
    """The table `escalations`, on a connection that the caller passes.

    Who changes rows holds them (`lock`), and waits for nothing else then but further rows of this
    table with higher ids.
    """

    def __init__(self, schema: str) -> None:
        self._sql = SQL.load(schema)

    async def open(self, connection: Connection, rows: Sequence[Mapping[str, object]]) -> list[int]:
        """Insert rows, given by column; their ids."""
        found = await connection.fetch(
            *self._sql.bind("open", rows=json.dumps([dict(r) for r in rows]))
        )
        return [r["id"] for r in found]

    async def close(self, connection: Connection, closed: Sequence[Closing]) -> None:
        """Close what is pending of these waits."""
        await connection.execute(*self._sql.bind("close", closed=closed))

    async def settle(
        self,
        connection: Connection,
        escalation: int,
        status: str,
        payload: str,
        by: tuple[str | None, str | None],
    ) -> None:
        """Say of a row that is held who closed it (a name, and metadata to merge as JSON)."""
        await connection.execute(
            *self._sql.bind(
                "settle", escalation=escalation, status=status, payload=payload, resolver=by[0],
                metadata=by[1],
            )
        )  # fmt: skip

    async def lock(self, connection: Connection, app_id: str, ids: Sequence[int]) -> list[Row]:
        """These rows, held until commit."""
        rows: list[Row] = await connection.fetch(
            *self._sql.bind("lock", app_id=app_id, ids=list(ids))
        )
        return rows

    async def read(self, connection: Connection, app_id: str, ids: Sequence[int]) -> list[Row]:
        """These rows."""
        rows: list[Row] = await connection.fetch(
            *self._sql.bind("read", app_id=app_id, ids=list(ids))
        )
        return rows

    async def find(
        self,
        connection: Connection,
        app_id: str,
        wanted: Wanted,
        order: tuple[str, bool],
        page: Any,
    ) -> Any:
        """Rows of a page (limit, offset); `order` is the column, and if the newest is first."""
        return await connection.fetch(
            *self._sql.bind(
                "list", app_id=app_id, **wanted.filters, order=order[0], newest=order[1],
                limit=page[0], skipped=page[1],
            )
        )  # fmt: skip

    async def count(self, connection: Connection, app_id: str, wanted: Wanted) -> int:
        """How many there are."""
        bound = self._sql.bind("count", app_id=app_id, **wanted.filters)
        return int(await connection.fetchval(*bound))

    async def next_available(
        self, connection: Connection, app_id: str, metadata: str, roles: Sequence[str] | None
    ) -> int | None:
        """The first that contains the metadata (JSON) and may be claimed, held until commit."""
        found: int | None = await connection.fetchval(
            *self._sql.bind("next_available", app_id=app_id, metadata=metadata, roles=roles)
        )
        return found

    async def claim(
        self, connection: Connection, ids: Sequence[int], assignee: str, duration: float
    ) -> None:
        """Have rows that are held belong to somebody for so many seconds."""
        await connection.execute(
            *self._sql.bind("claim", ids=ids, assignee=assignee, seconds=duration)
        )

    async def release(self, connection: Connection, ids: Sequence[int]) -> None:
        """Clear the assignee of rows that are held."""
        await connection.execute(*self._sql.bind("release", ids=ids))

    async def to_role(self, connection: Connection, ids: Sequence[int], role: str) -> None:
        """Have rows that are held wait for another role."""
        await connection.execute(*self._sql.bind("to_role", ids=ids, role=role))

    async def update(
        self, connection: Connection, ids: Sequence[int], changes: Mapping[str, object]
    ) -> None:
        """Change what is given: priority, description, metadata, milestones (JSON), expires_at."""
        names = ("priority", "description", "metadata", "milestones", "expires_at")
        given = {name: changes.get(name) for name in names}
        await connection.execute(*self._sql.bind("update", ids=ids, **given))

    async def stats(
        self, connection: Connection, app_id: str, roles: Sequence[str] | None, period: float
    ) -> Any:
        """Counts by role and type, of so many seconds."""
        return await connection.fetch(
            *self._sql.bind("stats", app_id=app_id, roles=roles, period=period)
        )

    async def types(self, connection: Connection, app_id: str) -> Any:
        """The types that there are."""
        return await connection.fetch(*self._sql.bind("types", app_id=app_id))

    async def prune(
        self, connection: Connection, app_id: str, statuses: Sequence[str], age: float, limit: int
    ) -> int:
        """Delete closed rows that are older than so many seconds, `limit` at most; how many."""
        gone = await connection.fetch(
            *self._sql.bind("prune", app_id=app_id, statuses=list(statuses), age=age, limit=limit)
        )
        return len(gone)
