"""How ended jobs of hand-written graphs leave the tables: in batches, once they have expired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from durable.postgres.pool import Database
from durable.store.graph_jobs import GraphJobStore
from durable.store.hooks import HookStore, Waiter

BATCH = 500  # jobs of one transaction: with what belongs to them, a few thousand rows


class Retention:
    """Prunes the jobs of one database."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._jobs = GraphJobStore(database.schema)
        self._hooks = HookStore(database.schema)

    async def prune(self, app_id: str, kept: float) -> int:
        """Delete what expired at least `kept` seconds ago, batch by batch; how many jobs."""
        total = 0
        while True:
            gone = await self._batch(app_id, kept)
            total += gone
            if gone < BATCH:
                return total

    async def _batch(self, app_id: str, kept: float) -> int:
        async with self._db.connection() as connection, connection.transaction():
            runs = await self._jobs.expired(connection, app_id, kept, BATCH)
            if not runs:
                return 0
            return await self._forget(connection, runs)

    async def scrub(self, run_id: int) -> None:
        """Delete one job that has ended, now."""
        async with self._db.connection() as connection, connection.transaction():
            await self._jobs.lock_one(connection, run_id)
            await self._forget(connection, [run_id])

    async def _forget(self, connection: Any, runs: Sequence[int]) -> int:
        # A job that only counts as ended may still wait for signals.
        keys = await self._hooks.keys_of(connection, [Waiter(run_id) for run_id in runs])
        await self._hooks.lock(connection, keys)
        return await self._jobs.forget(connection, runs)
