"""Jobs as their callers see them: output, status, and what their activities did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from durable.descriptor.plan import Plan
from durable.engine.copies import changed
from durable.engine.job import Instance, Job, decode, encode
from durable.engine.steps.graph_rows import instance_of, job_of, put_aside_of
from durable.engine.steps.graph_walks import Plans
from durable.errors import JobFailed, JobNotFound
from durable.postgres.connections import Connection
from durable.postgres.database import Database, Row
from durable.protocol.clock import from_datetime
from durable.protocol.codes import NOT_FOUND
from durable.protocol.graphs import Fault
from durable.store.graph_jobs import GraphJobStore
from durable.store.states import StateStore


def output(job: Job, plan: Plan, now: float) -> dict[str, object]:
    """A job as its callers get it: `{"metadata": …, "data": …}`."""
    return {"metadata": job.described(plan.trigger, now), "data": dict(job.data)}


def failure(error: Fault, job_id: str) -> JobFailed:
    """A job's error, to be raised. That of another job, which it awaited, becomes its cause."""
    failed = _failed(error, job_id)
    if error.job_id not in ("", job_id):
        failed.__cause__ = _failed(error, error.job_id)
    return failed


def _failed(error: Fault, job_id: str) -> JobFailed:
    return JobFailed(
        error.message, code=error.code, job_id=job_id, stack=error.stack, details=error.details
    )


def _text(value: object) -> str | None:
    """An attribute as HotMesh gives it."""
    return value if value is None or isinstance(value, str) else encode(value, "an attribute")


JobSnapshot = tuple[Job, Plan, float]
"""A job that has ended, its plan, and the time at which it was read or ended."""


class JobQueries:
    """Reads jobs of hand-written graphs."""

    def __init__(self, database: Database, plans: Plans) -> None:
        self._db = database
        self._plans = plans
        self._store = GraphJobStore(database.schema)
        self._states = StateStore(database.schema)

    async def find(self, app_id: str, jid: str) -> tuple[Job, Plan, float]:
        """The latest job of an id, its plan, and the time; raises `JobNotFound`."""
        async with self._db.connection() as connection:
            row = await self._store.find(connection, app_id, jid)
            if row is None:
                raise JobNotFound(f"Job {jid} not found", code=NOT_FOUND, job_id=jid)
            job, plan, now = await self._known(connection, row)
            return changed(job, put_aside=put_aside_of(row)), plan, now

    async def ends(self, run_ids: Iterable[int]) -> dict[int, JobSnapshot]:
        """Those of the jobs that have ended, by run, each with its plan and the time."""
        async with self._db.connection() as connection:
            rows = await self._store.read(connection, run_ids, ended=True)
            return {row["run_id"]: await self._known(connection, row) for row in rows}

    async def ends_or_emissions(
        self, app_id: str, ids: Iterable[int], since: float
    ) -> list[tuple[int, Job, Plan, float]]:
        """What ended, or was emitted, since a moment: its id, the job then, its plan, and when.

        The ids come by notifications, which any role may send: those of another app, of functions,
        of running jobs, of jobs that ended long ago and unknown ones are left out.
        """
        async with self._db.connection() as connection:
            ended = [
                (row["run_id"], row, row["finished_at"])
                for row in await self._store.read(connection, ids)
                if row["scope"] == app_id and row["finished_at"] is not None
            ]
            emitted = [
                (row["id"], row, row["now"])
                for row in await self._store.emitted(connection, ids)
                if row["app_id"] == app_id
            ]
            return [
                (number, *await self._known(connection, row))
                for number, row, at in [*ended, *emitted]
                if from_datetime(at) >= since
            ]

    async def _known(self, connection: Connection, row: Row) -> tuple[Job, Plan, float]:
        job = job_of(row)
        plans = await self._plans(connection, job.app_id, job.version)
        return job, plans[job.graph], from_datetime(row["now"])

    async def query(self, job: Job, fields: Sequence[str]) -> dict[str, object]:
        """Attributes of a job: `name`, `:` for the status, `"…"` for a name as it is stored."""
        stored = {f: f[1:-1] if f.startswith('"') else f"_{f}" for f in fields if f != ":"}
        found: dict[str, object] = {f"_{name}": value for name, value in job.attributes.items()}
        if any(name.startswith("-") for name in stored.values()):
            async with self._db.connection() as connection:
                found |= decode(await self._states.markers(connection, job.run_id)) or {}
        values: dict[str, object] = {f: _text(found.get(name)) for f, name in stored.items()}
        return {**values, ":": job.status} if ":" in fields else values

    async def ended_since(self, app_id: str, graphs: Iterable[str], since: datetime) -> list[int]:
        """The runs of these graphs that ended since a moment, and emissions; oldest first."""
        async with self._db.connection() as connection:
            return await self._store.ended_since(connection, app_id, graphs, since)

    async def history(self, job: Job) -> list[tuple[Instance, Mapping[str, object] | None]]:
        """What each activity of a job did, with what it was given, in order of entry."""
        async with self._db.connection() as connection:
            rows = await self._store.history(connection, job.run_id)
        return [(instance_of(row), decode(row["input"])) for row in rows]
