"""How what has ended leaves the tables: in batches, each one transaction, once its time is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from durable.errors import DatabaseError
from durable.postgres.connections import LONG_DEADLINE, Connection
from durable.postgres.database import Database
from durable.postgres.errors import Conflict
from durable.protocol.retention import Pruned, Pruning, RetentionPolicy
from durable.runtime.supervision import Tasks
from durable.store.graph_jobs import GraphJobStore
from durable.store.hooks import HookStore, Waiter
from durable.store.retention import RetentionStore
from durable.telemetry.logs import logger

BATCH = 500  # runs of one transaction
FACTS = 20_000  # and about so many facts at most: some ten milliseconds of locks and log

OnBatch = Callable[[Pruned], None]
Batch = Callable[[Connection, Pruning], Awaitable[tuple[Pruned, bool]]]


class Retention:
    """Policies and pruning of one database."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._store = RetentionStore(database.schema)
        self._jobs = GraphJobStore(database.schema)
        self._hooks = HookStore(database.schema)

    async def policy(self, scope: str = "") -> RetentionPolicy | None:
        """The stored policy of functions, or of an app; None: the defaults hold."""
        async with self._db.connection() as connection:
            return await self._store.policy(connection, scope)

    async def keep(self, policy: RetentionPolicy, scope: str = "") -> None:
        """Store a policy: it holds from now on, for what has ended already too."""
        async with self._db.connection() as connection:
            await self._store.keep(connection, scope, policy)

    async def count(self, wanted: Pruning) -> Pruned:
        """What `prune` would delete."""
        async with self._db.connection() as connection:
            return await self._store.count(connection, wanted, None)

    async def is_due(self, wanted: Pruning) -> bool:
        """Whether there is anything to prune, by one statement."""
        async with self._db.connection() as connection:
            return (await self._store.count(connection, wanted, 1)).total > 0

    async def prune(
        self, wanted: Pruning, on_batch: OnBatch | None = None, *, gently: bool = False
    ) -> Pruned:
        """Delete what is over, batch by batch, the oldest first.

        `on_batch` gets the sum after each batch. `gently` rests after a batch for as long as it
        took. Several may prune at once: each skips the rows that another has locked.
        """
        kinds: list[Batch] = [self._runs, self._graph_jobs]
        if wanted.streams:
            kinds += [self._messages, self._signals]
        total = Pruned()
        for batch in kinds:
            more = True
            while more:
                began = time.monotonic()
                gone, more = await self._transaction(batch, wanted)
                total += gone
                if on_batch is not None and gone.total:
                    on_batch(total)
                if gently and more:
                    await asyncio.sleep(time.monotonic() - began)
        return total

    async def scrub(self, run_id: int) -> None:
        """Delete one job that has ended, now."""
        async with self._db.connection() as connection, connection.transaction():
            await self._jobs.lock_one(connection, run_id)
            await self._forget(connection, [run_id])

    async def _transaction(self, batch: Batch, wanted: Pruning) -> tuple[Pruned, bool]:
        async with self._db.connection(LONG_DEADLINE) as connection, connection.transaction():
            return await batch(connection, wanted)

    async def _runs(self, connection: Connection, wanted: Pruning) -> tuple[Pruned, bool]:
        runs = await self._store.runs(connection, wanted, BATCH, FACTS)
        if not runs:
            return Pruned(), False
        return Pruned(runs=await self._store.forget(connection, runs)), True

    async def _graph_jobs(self, connection: Connection, wanted: Pruning) -> tuple[Pruned, bool]:
        jobs = await self._store.jobs(connection, wanted, BATCH)
        if not jobs:
            return Pruned(), False
        return Pruned(jobs=await self._forget(connection, jobs)), len(jobs) == BATCH

    async def _messages(self, connection: Connection, wanted: Pruning) -> tuple[Pruned, bool]:
        gone = await self._store.messages(connection, wanted, BATCH)
        return Pruned(messages=gone), gone >= BATCH

    async def _signals(self, connection: Connection, wanted: Pruning) -> tuple[Pruned, bool]:
        gone = await self._store.signals(connection, wanted, BATCH)
        return Pruned(signals=gone), gone > 0

    async def _forget(self, connection: Connection, runs: Sequence[int]) -> int:
        # A job that only counts as ended may still wait for signals.
        keys = await self._hooks.keys_of(connection, [Waiter(run_id) for run_id in runs])
        await self._hooks.lock(connection, keys)
        return await self._store.forget(connection, runs)


class Janitor:
    """Prunes beside everything else, whenever it is this process's turn."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention
        self._tasks = Tasks("the janitor", _await_next_turn)
        self._task: asyncio.Task[None] | None = None

    def due(self) -> None:
        """It is our turn, about once a minute; a call during the previous turn is ignored."""
        if self._task is None or self._task.done():
            self._task = self._tasks.once("pruning", self._prune)

    async def close(self) -> None:
        """Stop; a batch in flight is rolled back or done."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _prune(self) -> None:
        wanted = Pruning()
        try:
            if not await self._retention.is_due(wanted):
                return
            gone = await self._retention.prune(wanted, gently=True)
            logger.debug("pruned %s", gone)
        except Conflict:  # the next minute will do
            logger.debug("pruning met a conflict, and goes on in a minute")
        except DatabaseError as error:
            logger.warning("what has ended is pruned when the database lets us: %s", error)


def _await_next_turn(_name: str, _error: BaseException) -> None:
    """The failure has been logged; the next minute's turn begins anew."""
