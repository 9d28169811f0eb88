"""Jobs as a step walks them: new ones begun, and running ones loaded from the tables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from durable.descriptor.plan import Plan
from durable.engine.job import Instance
from durable.engine.steps.graph_outbox import JobStep
from durable.engine.steps.graph_rows import instance_of, job_of
from durable.engine.steps.graph_starts import Start, first_step
from durable.engine.steps.graph_walk import Walk
from durable.errors import ConfigurationError, InternalError
from durable.postgres.connections import Connection
from durable.postgres.database import Row
from durable.protocol.clock import from_datetime
from durable.store.apps import AppStore
from durable.store.graph_jobs import GraphJobStore

Plans = Callable[[Connection, str, str], Awaitable[Mapping[str, Plan]]]
"""Gives, on a connection, the plans of an app's version, by the topic to which they subscribe."""


class UnknownTopic(ConfigurationError):
    """A topic without an active graph; a workflow may have its name."""


class JobWalks:
    """Begins and loads the jobs of one schema, on the connection of the caller."""

    def __init__(self, schema: str, plans: Plans, rng: Callable[[], float]) -> None:
        self._plans, self._rng = plans, rng
        self._apps = AppStore(schema)
        self._jobs = GraphJobStore(schema)

    async def begin_active(self, connection: Connection, start: Start) -> JobStep:
        """Begin a job on the version that it names, else on the one that is active."""
        active, now = await self._apps.active(connection, start.app_id)
        version = start.version or active
        if version is None:
            raise UnknownTopic(
                f"no version of app {start.app_id!r} is active: deploy one and activate it"
            )
        return await self.begin(connection, start, version, from_datetime(now))

    async def begin(
        self, connection: Connection, start: Start, version: str, now: float
    ) -> JobStep:
        """Begin a job on a version. Raises `UnknownTopic` when no graph of it has the topic."""
        plan = (await self._plans(connection, start.app_id, version)).get(start.topic)
        if plan is None:
            raise UnknownTopic(
                f"no graph of app {start.app_id!r}, version {version},"
                f" subscribes to {start.topic!r}"
            )
        return first_step(plan, start, version, now, self._rng)

    async def instances(
        self, connection: Connection, wanted: Iterable[tuple[int, str]]
    ) -> dict[int, dict[tuple[str, str], Instance]]:
        """By run, what the activities at these addresses did."""
        found: dict[int, dict[tuple[str, str], Instance]] = {}
        for row in await self._jobs.instances(connection, wanted):
            found.setdefault(row["run_id"], {})[row["dad"], row["aid"]] = instance_of(row)
        return found

    async def load(
        self,
        connection: Connection,
        row: Row,
        instances: dict[tuple[str, str], Instance] | None = None,
    ) -> Walk:
        """A locked job, ready to be walked on."""
        plans = await self._plans(connection, row["app_id"], row["graph_version"])
        if row["graph"] not in plans:
            raise InternalError(
                f"job {row['jid']!r} runs graph {row['graph']!r}, which its version lacks"
            )
        return Walk(
            plans[row["graph"]], job_of(row), instances or {}, from_datetime(row["now"]), self._rng
        )
