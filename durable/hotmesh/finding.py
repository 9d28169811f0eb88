"""The methods of `HotMesh` that find jobs by what they keep: their entity and their attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from durable.engine.job import compact, decode
from durable.errors import ConfigurationError
from durable.hotmesh.wiring import Wiring
from durable.postgres.connections import LONG_DEADLINE
from durable.postgres.pool import Row
from durable.protocol.clock import from_datetime
from durable.protocol.conditions import Condition, condition, conditions, parts
from durable.protocol.documents import Path
from durable.protocol.json_values import compact_json
from durable.protocol.searchable import Value, attribute
from durable.store.states import StateStore, Wanted

Conditions = Mapping[str, Any] | Iterable[tuple[Path, str, Any]]

LIMIT_MAX = 10_000  # jobs of one answer


class Finding:
    """Finding jobs of this app, whichever version they run."""

    app_id: str
    _wiring: Wiring

    async def find(
        self,
        entity: str | None = None,
        conditions: Conditions = (),
        *,
        attributes: Mapping[str, Value] | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """Jobs that fit all conditions, the newest first.

        Args:
            entity: the kind of thing that they are about; None for any.
            conditions: on the document: `{"customer.name": "ann"}` for equal values, or triples
                such as `("total", ">", 5)`. Operators: = != > >= < <= in like. One on a field that
                is not there does not hold; values of different types are in no order.
            attributes: searchable attributes that they have, with these very values.
            limit: how many at most.
            offset: how many are left out before them.

        Each is `{"jid", "tpc", "entity", "context", "attributes", "status", "jc"}`: `context` is
        the document, `jc` when the job was created. Equality, `in`, attributes and the kind are
        served by indexes.

        Raises `ConfigurationError` for conditions that make no sense, `PayloadError` for values
        that JSON cannot hold.

        Example:
            found = await mesh.find("ticket", {"team.name": "money"}, attributes={"team": "money"})
            print([job["jid"] for job in found], found[-1]["context"])
            # → ['t2', 't1'] {'team': {'name': 'money'}}
        """
        return await self._find(entity, _conditions(conditions), attributes, (limit, offset))

    async def find_by_condition(
        self,
        entity: str,
        field: Path,
        value: Any,
        operator: str = "=",
        *,
        limit: int = 100,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """Jobs of a kind whose document fits one condition, a page of them; as `find`.

        Args:
            entity: the kind.
            field: the path of what is compared, such as `"team.name"`.
            value: with what it is compared.
            operator: how, one of = != > >= < <= in like.
            limit: how many at most.
            offset: how many are left out before them.

        Raises `ConfigurationError` for an unknown operator, and a field that is no path.

        Example:
            found = await mesh.find_by_condition("ticket", "team.name", ["money"], "in", limit=1)
            print([job["attributes"] for job in found])
            # → [{'team': 'money'}]
        """
        return await self._find(entity, [condition(field, value, operator)], None, (limit, offset))

    async def find_by_id(self, entity: str, job_id: str) -> dict[str, Any] | None:
        """The newest job of this kind, `entity`, and id, `job_id`; None when there is none.

        It is as `find` gives it.

        Example:
            ticket = await mesh.find_by_id("ticket", "t2")
            print(ticket["context"], await mesh.find_by_id("person", "t2"))
            # → {'team': {'name': 'money'}} None
        """
        async with self._wiring.database.connection(LONG_DEADLINE) as connection:
            store = StateStore(self._wiring.database.schema)
            row = await store.of_id(connection, self.app_id, entity, job_id)
        return None if row is None else _found(row)

    async def _find(
        self,
        entity: str | None,
        wanted: list[Condition],
        attributes: Mapping[str, Value] | None,
        page: tuple[int, int],
    ) -> list[dict[str, Any]]:
        limit, offset = page
        if not 0 <= limit <= LIMIT_MAX or offset < 0:
            raise ConfigurationError(
                f"limit is 0 to {LIMIT_MAX:,} and offset not negative: {limit}, {offset}"
            )
        if any(c.operator == "in" and not c.value for c in wanted):
            return []
        having = {name: attribute(name, value) for name, value in (attributes or {}).items()}
        asked = Wanted(
            self.app_id,
            entity,
            compact_json(having) if having else None,
            parts(wanted),
            tuple((compact_json(list(c.path)), c.operator, compact_json(c.value)) for c in wanted),
        )
        async with self._wiring.database.connection(LONG_DEADLINE) as connection:
            store = StateStore(self._wiring.database.schema)
            return [_found(row) for row in await store.find(connection, asked, page)]


_conditions = conditions  # `find` has a parameter of this name


def _found(row: Row) -> dict[str, Any]:
    return {
        "jid": row["jid"],
        "tpc": row["graph"],
        "entity": row["entity"],
        "context": decode(row["document"]),
        "attributes": decode(row["attributes"]) or {},
        "status": row["status"],
        "jc": compact(from_datetime(row["created_at"])),
    }
