"""Waits that a person is to end: the table `escalations`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from durable.postgres.pool import Row
from durable.postgres.sql import Statements

FILTERS: Final = (
    "role", "type", "subtype", "entity", "status", "assigned_to", "job_id", "topic", "origin_id",
    "priority",
)  # fmt: skip
"""The columns that lists are filtered by, in the order of the statement's arguments."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A wait that has ended: that of (aid, dad), or all of a run (None); the payload is JSON."""

    run_id: int
    dad: str | None
    aid: str | None
    status: str
    payload: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which escalations: values by column (any of them fits), metadata that they contain."""

    columns: Mapping[str, Sequence[Any]] = field(default_factory=lambda: MappingProxyType({}))
    metadata: Mapping[str, Any] | None = None
    available: bool | None = None

    @property
    def arguments(self) -> list[Any]:
        """As the statements take them."""
        by_column = [self.columns.get(name) for name in FILTERS]
        metadata = None if self.metadata is None else json.dumps(dict(self.metadata))
        return [*by_column, metadata, self.available]


class EscalationStore:
    """The table `escalations`, on a connection that the caller passes.

    Who changes rows holds them (`lock`), and waits for nothing else then but further rows of this
    table with higher ids.
    """

    def __init__(self, schema: str) -> None:
        self._sql = Statements("durable.store", "sql/escalations.sql", schema)

    async def open(self, connection: Any, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """Insert rows, given by column; their ids."""
        found = await connection.fetch(self._sql["open"], json.dumps([dict(r) for r in rows]))
        return [r["id"] for r in found]

    async def close(self, connection: Any, closed: Sequence[Closing]) -> None:
        """Close what is pending of these waits."""
        await connection.execute(
            self._sql["close"],
            [c.run_id for c in closed],
            [c.dad for c in closed],
            [c.aid for c in closed],
            [c.status for c in closed],
            [c.payload for c in closed],
        )

    async def settle(
        self,
        connection: Any,
        escalation: int,
        status: str,
        payload: str,
        by: tuple[str | None, str | None],
    ) -> None:
        """Say of a row that is held who closed it (a name, and metadata to merge as JSON)."""
        await connection.execute(self._sql["settle"], escalation, status, payload, *by)

    async def lock(self, connection: Any, app_id: str, ids: Sequence[int]) -> list[Row]:
        """These rows, held until commit."""
        rows: list[Row] = await connection.fetch(self._sql["lock"], app_id, list(ids))
        return rows

    async def read(self, connection: Any, app_id: str, ids: Sequence[int]) -> list[Row]:
        """These rows."""
        rows: list[Row] = await connection.fetch(self._sql["read"], app_id, list(ids))
        return rows

    async def find(
        self, connection: Any, app_id: str, wanted: Wanted, order: tuple[str, bool], page: Any
    ) -> Any:
        """Rows of a page (limit, offset); `order` is the column, and if the newest is first."""
        return await connection.fetch(self._sql["list"], app_id, *wanted.arguments, *order, *page)

    async def count(self, connection: Any, app_id: str, wanted: Wanted) -> int:
        """How many there are."""
        return int(await connection.fetchval(self._sql["count"], app_id, *wanted.arguments))

    async def next_available(
        self, connection: Any, app_id: str, metadata: str, roles: Sequence[str] | None
    ) -> int | None:
        """The first that contains the metadata (JSON) and may be claimed, held until commit."""
        found: int | None = await connection.fetchval(
            self._sql["next_available"], app_id, metadata, roles
        )
        return found

    async def claim(
        self, connection: Any, ids: Sequence[int], assignee: str, duration: float
    ) -> None:
        """Have rows that are held belong to somebody for so many seconds."""
        await connection.execute(self._sql["claim"], ids, assignee, duration)

    async def release(self, connection: Any, ids: Sequence[int]) -> None:
        """Have rows that are held belong to nobody."""
        await connection.execute(self._sql["release"], ids)

    async def to_role(self, connection: Any, ids: Sequence[int], role: str) -> None:
        """Have rows that are held wait for another role."""
        await connection.execute(self._sql["to_role"], ids, role)

    async def update(self, connection: Any, ids: Sequence[int], changes: Mapping[str, Any]) -> None:
        """Change what is given: priority, description, metadata, milestones (JSON), expires_at."""
        expires: datetime | None = changes.get("expires_at")
        names = ("priority", "description", "metadata", "milestones")
        given = [changes.get(name) for name in names]
        await connection.execute(self._sql["update"], ids, *given, expires)

    async def stats(
        self, connection: Any, app_id: str, roles: Sequence[str] | None, period: float
    ) -> Any:
        """Counts by role and type, of so many seconds."""
        return await connection.fetch(self._sql["stats"], app_id, roles, period)

    async def types(self, connection: Any, app_id: str) -> Any:
        """The types that there are."""
        return await connection.fetch(self._sql["types"], app_id)

    async def prune(
        self, connection: Any, app_id: str, statuses: Sequence[str], age: float, limit: int
    ) -> int:
        """Delete closed rows that are older than so many seconds, `limit` at most; how many."""
        gone = await connection.fetch(self._sql["prune"], app_id, list(statuses), age, limit)
        return len(gone)
