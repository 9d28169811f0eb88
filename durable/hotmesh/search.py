"""Search of jobs by their entity and attributes, and by what their triggers measure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from durable.engine.job import compact, decode
from durable.engine.statistics import Statistics
from durable.errors import ConfigurationError
from durable.hotmesh.conditions import Condition, condition, parts
from durable.hotmesh.conditions import conditions as conditions_of
from durable.postgres.connections import LONG_DEADLINE
from durable.postgres.database import Database, Row
from durable.protocol.clock import from_datetime
from durable.protocol.documents import Path
from durable.protocol.graphs import Data, Output
from durable.protocol.json_values import compact_json
from durable.protocol.limits import check_several
from durable.protocol.searchable import Value, attribute
from durable.store.states import StateStore, Wanted

Conditions = Data | Iterable[tuple[Path, str, object]]

LIMIT_MAX = 10_000  # jobs of one answer


class Search:
    """Finds and counts the jobs of one app, whichever version they run."""

    def __init__(self, app_id: str, database: Database, statistics: Statistics) -> None:
        self._app_id = app_id
        self._db = database
        self._statistics = statistics
        self._store = StateStore(database.schema)

    async def find(
        self,
        entity: str | None = None,
        conditions: Conditions = (),
        *,
        attributes: Mapping[str, Value] | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Output]:
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
        return await self._find(entity, conditions_of(conditions), (limit, offset), attributes)

    async def find_by_condition(
        self,
        entity: str,
        field: Path,
        value: object,
        operator: str = "=",
        *,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Output]:
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
        return await self._find(entity, [condition(field, value, operator)], (limit, offset))

    async def find_by_id(self, entity: str, job_id: str) -> Output | None:
        """The newest job of this kind, `entity`, and id, `job_id`; None when there is none.

        It is as `find` gives it.

        Example:
            ticket = await mesh.find_by_id("ticket", "t2")
            print(ticket["context"], await mesh.find_by_id("person", "t2"))
            # → {'team': {'name': 'money'}} None
        """
        async with self._db.connection(LONG_DEADLINE) as connection:
            row = await self._store.of_id(connection, self._app_id, entity, job_id)
        return None if row is None else _found(row)

    async def get_stats(self, topic: str, query: Data) -> Output:
        """What the trigger of a graph (its `subscribes`) has measured.

        `{"key", "granularity", "range", "start", "end", "count", "measures", "segments"}`: `count`
        is the number of jobs, a measure is `{"target", "type", "value"}`, and each step of time is
        a segment `{"time", "count", "measures"}`, also where nothing was counted. Counts have a
        measure for each value, `name:value`.

        Args:
            topic: what the graph subscribes to.
            query: `data`: what a job would be started with, of which the trigger makes the key.
                `range` ("1h", "24h", "7d"), `start`, `end` (moments, or "NOW"): when; a range alone
                ends now. `granularity`: coarser steps of time than those that are kept. `sparse`:
                no answer by steps.

        Raises `ConfigurationError` for a graph that counts nothing, and a query that makes no
        sense.

        Example:
            stats = await mesh.get_stats("ticket.open", {})
            print(stats["count"], [(m["target"], m["value"]) for m in stats["measures"]])
            # → 5 [('text:buy now', 1), ('text:hello', 2), ('text:my bill', 2)]
        """
        return await self._statistics.stats(topic, query)

    async def get_ids(self, topic: str, query: Data, facets: Sequence[str] = ()) -> Output:
        """The ids of the jobs that have facets: `name:value` of measures of kind index.

        `{"key", "facets", "granularity", "range", "start", "end", "counts", "segments"}`: counts
        are `{"facet", "count"}`, segments `{"time", "measures": [{"type": "ids", "target", "time",
        "count", "ids"}]}` for the steps of time that have jobs. Without facets all that there are
        are meant. A job leaves the index when it is deleted.

        Args:
            topic: what the graph subscribes to.
            query: as for `get_stats`.
            facets: `name:value` each.

        Raises as `get_stats` does, and `ConfigurationError` for facets that are not measured.

        Example:
            found = await mesh.get_ids("ticket.open", {}, ["text:my bill"])
            print(found["counts"], sorted(found["segments"][0]["measures"][0]["ids"]))
            # → [{'facet': 'text:my bill', 'count': 2}] ['t1', 't2']
        """
        named = check_several("facets", facets, "mesh.get_ids()")
        return await self._statistics.ids(topic, query, named)

    async def _find(
        self,
        entity: str | None,
        wanted: list[Condition],
        page: tuple[int, int],
        attributes: Mapping[str, Value] | None = None,
    ) -> list[Output]:
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
