"""What is kept for how long, and what of it is over: policies, and the rows that leave."""

from __future__ import annotations

from collections.abc import Iterable

from durable.postgres.connections import Connection
from durable.postgres.sql import SqlFile
from durable.protocol.retention import Pruned, Pruning, RetentionPolicy

SQL = SqlFile("durable.store", "sql/retention.sql")


class RetentionStore:
    """The table `retention`, and deletions, on a connection that the caller passes."""

    def __init__(self, schema: str) -> None:
        self._sql = SQL.load(schema)

    async def policy(self, connection: Connection, scope: str) -> RetentionPolicy | None:
        """The stored policy of functions (scope "") or of an app; None when there is none."""
        row = await connection.fetchrow(*self._sql.bind("policies", scope=scope))
        if row is None:
            return None
        return RetentionPolicy(row["completed_seconds"], row["failed_seconds"])

    async def keep(self, connection: Connection, scope: str, policy: RetentionPolicy) -> None:
        """Store a policy, in the place of any other of its scope."""
        completed, failed = policy.in_seconds()
        await connection.execute(
            *self._sql.bind("keep", scope=scope, completed=completed, failed=failed)
        )

    async def count(self, connection: Connection, wanted: Pruning, limit: int | None) -> Pruned:
        """How much there is to prune, of each kind counted up to `limit`."""
        [row] = await connection.fetch(
            *self._sql.bind("count", **_which(wanted), limit=limit, streams=wanted.streams)
        )
        return Pruned(row["runs"], row["jobs"], row["messages"], row["signals"])

    async def runs(
        self, connection: Connection, wanted: Pruning, limit: int, facts: int
    ) -> list[int]:
        """Runs of functions to prune, locked until commit: with few more facts than `facts`."""
        rows = await connection.fetch(
            *self._sql.bind("runs", **_which(wanted), limit=limit, facts=facts)
        )
        return [row["run_id"] for row in rows]

    async def jobs(self, connection: Connection, wanted: Pruning, limit: int) -> list[int]:
        """Jobs of graphs to prune, locked until commit."""
        rows = await connection.fetch(*self._sql.bind("jobs", **_which(wanted), limit=limit))
        return [row["run_id"] for row in rows]

    async def forget(self, connection: Connection, run_ids: Iterable[int]) -> int:
        """Delete runs or jobs and all that belongs to them; how many there were."""
        gone: int = await connection.fetchval(*self._sql.bind("forget", run_ids=list(run_ids)))
        return gone

    async def messages(self, connection: Connection, wanted: Pruning, limit: int) -> int:
        """Delete expired rows, up to `limit` of each stream; how many."""
        gone: int = await connection.fetchval(
            *self._sql.bind("messages", **_which(wanted), limit=limit)
        )
        return gone

    async def signals(self, connection: Connection, wanted: Pruning, limit: int) -> int:
        """Delete early signals, up to `limit` rows; how many signals."""
        gone: int = await connection.fetchval(
            *self._sql.bind("signals", **_which(wanted), limit=limit)
        )
        return gone


def _which(wanted: Pruning) -> dict[str, object]:
    """What to prune, as the statements take it."""
    return {
        "older_than": wanted.older_than, "keep": list(wanted.keep), "app_id": wanted.app_id,
    }  # fmt: skip
