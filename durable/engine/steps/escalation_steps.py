"""Escalations that are resolved or cancelled: the waiting job goes on in the same commit.

Locks are taken in the order of all steps: jobs by their ids, then what their walks need, then the
escalations by theirs. Claims lock escalations only, which excludes deadlocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from durable.engine.collation import addresses
from durable.engine.effects import Reply
from durable.engine.job import encode
from durable.engine.steps.graph_outbox import JobStep
from durable.engine.steps.graph_walk import Walk
from durable.engine.steps.graph_walks import JobWalks, Plans
from durable.engine.steps.graph_writes import CommitReport, GraphWriter
from durable.engine.transitions.validation import require_valid
from durable.postgres.connections import Connection
from durable.postgres.database import Database, Row
from durable.protocol.messages import MessageKind
from durable.protocol.retry import RetryPolicy
from durable.store.escalations import EscalationStore
from durable.store.graph_jobs import GraphJobStore

Check = Callable[[Sequence[Row]], None]
"""Gets the rows, held until commit; raises when one of them cannot be closed."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How escalations are closed.

    Args:
        status: resolved or cancelled.
        replies: what their waits are answered with, by the escalation's id.
        by: the person or system, None when unknown.
        metadata: merged into that of each.
    """

    status: str
    replies: Mapping[int, Reply]
    by: str | None = None
    metadata: Mapping[str, object] | None = None


class EscalationSteps:
    """Commits the closing of escalations, with the steps of the jobs that wait by them."""

    def __init__(
        self, database: Database, plans: Plans, retry: RetryPolicy, rng: Callable[[], float]
    ) -> None:
        self._db = database
        self._loader = JobWalks(database.schema, plans, rng)
        self._jobs = GraphJobStore(database.schema)
        self._store = EscalationStore(database.schema)
        self._writer = GraphWriter(database.schema, retry)

    async def settle(
        self, app_id: str, settlement: Settlement, check: Check
    ) -> tuple[list[Row], CommitReport]:
        """Close all of them or none; the rows as they are then, and what was written."""
        ids = sorted(settlement.replies)
        async with self._db.connection() as connection, connection.transaction():
            rows = await self._store.read(connection, app_id, ids)
            steps = await self._walked(connection, rows, settlement.replies)
            await self._writer.lock(connection, steps)
            check(await self._store.lock(connection, app_id, ids))
            written = await self._writer.write(connection, steps)
            metadata = settlement.metadata
            merged = None if metadata is None else encode(metadata, "the escalation's metadata")
            for escalation in ids:
                payload = encode(settlement.replies[escalation].data, "the resolver's payload")
                by = (settlement.by, merged)
                await self._store.settle(connection, escalation, settlement.status, payload, by)
            return await self._store.read(connection, app_id, ids), written

    async def _walked(
        self, connection: Connection, rows: Sequence[Row], replies: Mapping[int, Reply]
    ) -> list[JobStep]:
        """The jobs behind these rows, locked, and walked on by the replies."""
        waits = [r for r in rows if r["run_id"] is not None and r["status"] == "pending"]
        walks: dict[int, Walk] = {}
        for run_id in sorted({r["run_id"] for r in waits}):
            job = await self._jobs.lock_one(connection, run_id)
            if job is not None:
                dads = {r["dad"] for r in waits if r["run_id"] == run_id}
                walks[run_id] = await self._walk(connection, job, dads)
        for row in waits:
            walk = walks.get(row["run_id"])
            if walk is not None and walk.takes(row["aid"], row["dad"]):
                reply = replies[row["id"]]
                if reply.kind == MessageKind.WEBHOOK:
                    checks = walk.plan.node(row["aid"]).checks
                    require_valid(checks.get("hook"), reply.data, f"the payload for {row['id']}")
                walk.reply(row["aid"], row["dad"], reply)
        return [JobStep(walk.plan, walk.changes()) for walk in walks.values()]

    async def _walk(self, connection: Connection, row: Row, dads: set[str]) -> Walk:
        run_id = row["run_id"]
        wanted = {(run_id, at) for dad in dads for at in addresses.lineage(dad)}
        found = await self._loader.instances(connection, wanted)
        return await self._loader.load(connection, row, found.get(run_id))
