"""What was counted over jobs, as their callers see it; and signals to all that have something."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from durable.descriptor.expressions.values import number
from durable.descriptor.plan import Plan
from durable.descriptor.queries import JobsQuery, Selection, granularity_name, slot_text
from durable.engine.activities.measurements import JOB
from durable.engine.effects import FacetTargets
from durable.engine.steps.fan_out import FanOut, selection
from durable.engine.steps.graph_routing import Rules
from durable.engine.steps.graph_walks import Plans
from durable.errors import ConfigurationError
from durable.postgres.connections import Connection
from durable.postgres.database import Database, Row
from durable.protocol.clock import from_datetime
from durable.protocol.graphs import Data
from durable.store.apps import AppStore
from durable.store.graph_messages import EngineStream
from durable.store.stats import StatsStore

Answer = dict[str, object]


class Statistics:
    """The statistics of one app's jobs, on the version that is active.

    Args:
        wake: called when engines have something to do.
    """

    def __init__(
        self, database: Database, plans: Plans, app_id: str, wake: Callable[[], None]
    ) -> None:
        self._wake = wake
        self._db, self._plans = database, plans
        self._app_id = app_id
        self._apps = AppStore(database.schema)
        self._stats = StatsStore(database.schema)
        self._stream = EngineStream(database.schema)
        self._fan_out = FanOut(plans, Rules(self._apps), self._stats)

    async def stats(self, topic: str, query: Mapping[str, object] | None) -> Answer:
        """What was measured of the jobs of a graph that a query means.

        Raises `ConfigurationError` for a graph without measures, and a query that does not fit.
        """
        asked = JobsQuery.of(query)
        async with self._db.connection() as connection:
            plan, _, now = await self._graph(connection, topic)
            chosen = selection(plan, asked, (), now, by_index=False)
            slots = [] if asked.sparse else chosen.window.slots()
            rows = await self._stats.totals(connection, chosen)
        whole = [row for row in rows if row["whole"]]
        answer = {**_head(chosen, asked, plan), "count": _jobs(whole), "measures": _measures(whole)}
        if asked.sparse:
            return answer
        by_slot: dict[float | None, list[Row]] = {slot: [] for slot in slots}
        for row in rows:
            if not row["whole"]:
                by_slot[row["at"]].append(row)
        segments = [
            {"time": slot_text(slot), "count": _jobs(found), "measures": _measures(found)}
            for slot, found in by_slot.items()
        ]
        return {**answer, "segments": segments}

    async def ids(
        self, topic: str, query: Mapping[str, object] | None, facets: Sequence[str]
    ) -> Answer:
        """Which jobs of a graph have which facets; none given: all facets that there are.

        Raises as `stats` does, and for facets by which the graph does not index its jobs.
        """
        asked = JobsQuery.of(query)
        async with self._db.connection() as connection:
            plan, _, now = await self._graph(connection, topic)
            chosen = selection(plan, asked, tuple(facets), now)
            rows = await self._stats.ids(connection, chosen)
        counts = dict.fromkeys(facets or sorted({row["target"] for row in rows}), 0)
        segments: dict[str, list[Answer]] = {}
        for row in rows:
            time, facet, jids = slot_text(row["at"]), row["target"], list(row["jids"])
            counts[facet] += len(jids)
            found = {"type": "ids", "target": facet, "time": time, "count": len(jids), "ids": jids}
            segments.setdefault(time, []).append(found)
        return {
            **_head(chosen, asked, plan),
            "facets": list(counts),
            "counts": [{"facet": facet, "count": count} for facet, count in counts.items()],
            "segments": [{"time": t, "measures": found} for t, found in segments.items()],
        }

    async def signal_all(
        self, topic: str, data: Data, query: Mapping[str, object] | None, facets: Sequence[str]
    ) -> list[str]:
        """Signal all jobs with one of the facets that a query means; the indexes that name them.

        Engines do it: this is on disk when it returns.

        Raises `ConfigurationError` for a topic without a hook, data without the values that
        its rules compare, and as `ids` does.
        """
        asked = JobsQuery.of(query)
        async with self._db.connection() as connection, connection.transaction():
            active, now = await self._active(connection)
            targets = FacetTargets(tuple(facets), query or {}, now)
            chosen = await self._fan_out.choose(connection, (self._app_id, active, topic), targets)
            sent = await self._fan_out.message(
                connection, topic, chosen, dict(data), scrub=asked.scrub
            )
            if sent is None:
                return []
            rows = await self._stats.indexes(connection, chosen)
            await self._stream.send(connection, [sent])
        self._wake()
        return [f"{chosen.key}:{_at(row)}:index:{row['target']}" for row in rows]

    async def _graph(self, connection: Connection, topic: str) -> tuple[Plan, str, float]:
        active, now = await self._active(connection)
        plan = (await self._plans(connection, self._app_id, active)).get(topic)
        if plan is None:
            raise ConfigurationError(
                f"no graph of app {self._app_id!r}, version {active}, subscribes to {topic!r}"
            )
        return plan, active, now

    async def _active(self, connection: Connection) -> tuple[str, float]:
        active, now = await self._apps.active(connection, self._app_id)
        if active is None:
            raise ConfigurationError(
                f"no version of app {self._app_id!r} is active: deploy one and activate it"
            )
        return active, from_datetime(now)


def _head(chosen: Selection, asked: JobsQuery, plan: Plan) -> Answer:
    """What was asked for, as it was understood; `end` is the step in which the end lies."""
    stats, window = plan.node(plan.trigger).stats, chosen.window
    own = stats.minutes if stats else None
    last = None if window.end is None else window.end - (window.minutes or own or 0) * 60
    return {
        "key": chosen.key,
        "granularity": asked.granularity or granularity_name(own),
        "range": asked.range_,
        "start": None if window.first is None else slot_text(window.first),
        "end": None if last is None else slot_text(last),
    }


def _at(row: Row) -> str:
    return slot_text(row["at"] if math.isfinite(row["at"]) else None)


def _jobs(rows: Sequence[Row]) -> int:
    return sum(row["count"] for row in rows if row["kind"] == JOB)


def _measures(rows: Sequence[Row]) -> list[Answer]:
    return [
        {"target": row["target"], "type": row["kind"], "value": number(float(row[row["kind"]]))}
        for row in rows
        if row["kind"] != JOB
    ]
