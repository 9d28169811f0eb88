"""Search of jobs by what they keep: their entity and their attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from durable.engine.job import compact, decode
from durable.errors import ConfigurationError
from durable.hotmesh.conditions import Condition, parts
from durable.postgres.connections import LONG_DEADLINE
from durable.postgres.database import Database, Row
from durable.protocol.clock import from_datetime
from durable.protocol.documents import Path
from durable.protocol.graphs import Data, Output
from durable.protocol.json_values import compact_json
from durable.protocol.searchable import Value, attribute
from durable.store.states import StateStore, Wanted

Conditions = Data | Iterable[tuple[Path, str, Any]]

LIMIT_MAX = 10_000  # jobs of one answer


class Search:
    """Finds jobs of one app, whichever version they run."""

    def __init__(self, app_id: str, database: Database) -> None:
        self._app_id = app_id
        self._db = database
        self._store = StateStore(database.schema)

    async def one(self, entity: str, job_id: str) -> Output | None:
        """The newest job of a kind and an id; None when there is none."""
        async with self._db.connection(LONG_DEADLINE) as connection:
            row = await self._store.of_id(connection, self._app_id, entity, job_id)
        return None if row is None else _found(row)

    async def find(
        self,
        entity: str | None,
        wanted: list[Condition],
        page: tuple[int, int],
        attributes: Mapping[str, Value] | None = None,
    ) -> list[Output]:
        """Jobs of a kind that fit all conditions, the newest first: (limit, offset) of them."""
        limit, offset = page
        if not 0 <= limit <= LIMIT_MAX or offset < 0:
            raise ConfigurationError(
                f"limit is 0 to {LIMIT_MAX:,} and offset not negative: {limit}, {offset}"
            )
        if any(c.operator == "in" and not c.value for c in wanted):
            return []
        having = {name: attribute(name, value) for name, value in (attributes or {}).items()}
        asked = Wanted(
            self._app_id,
            entity,
            compact_json(having) if having else None,
            parts(wanted),
            tuple((compact_json(list(c.path)), c.operator, compact_json(c.value)) for c in wanted),
        )
        async with self._db.connection(LONG_DEADLINE) as connection:
            return [_found(row) for row in await self._store.find(connection, asked, page)]


def _found(row: Row) -> Output:
    return {
        "jid": row["jid"],
        "tpc": row["graph"],
        "entity": row["entity"],
        "context": decode(row["document"]),
        "attributes": decode(row["attributes"]) or {},
        "status": row["status"],
        "jc": compact(from_datetime(row["created_at"])),
    }
