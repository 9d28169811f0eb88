"""What each kind of run costs Postgres has a ceiling, by count: nothing here depends on time.

A ceiling is a little above what was counted; who raises one says in the commit what for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest

import durable
from durable.client.client import Client
from durable.composition import connect
from durable.postgres.database import Database
from durable.worker import timers
from durable.worker.worker import Worker
from tests.integration.costs.costing import costing
from tests.integration.programs import add, chain
from tests.waiting import eventually

RUNS, MOST_RUNS = 7, 28
SESSIONS = 4
STEPS = 50

go = durable.Signal("go", str)


@durable.workflow
async def fan(steps: int) -> int:
    """So many steps at once."""
    return len(await asyncio.gather(*[add(n) for n in range(steps)]))


@durable.workflow
async def told() -> str:
    """Waits for one signal."""
    return await go.receive()


@durable.workflow
async def late() -> None:
    """One timer."""
    await durable.sleep(0.05)


@durable.workflow
async def leaf() -> int:
    """Nothing."""
    return 1


@durable.workflow
async def parent() -> int:
    """One child."""
    return await leaf()


async def _once(client: Client, call: durable.Call[object]) -> None:
    handle = await client.start(call)
    await handle.result(timeout=60)


async def _crowd(client: Client, _: object) -> None:
    await asyncio.gather(*[_once(client, chain(5)) for _ in range(100)])


async def _signalled(client: Client, direct: asyncpg.Connection) -> None:
    handle = await client.start(told())

    async def waits() -> bool:
        return bool(
            await direct.fetchval(
                "select reserved_by is not null from worker_streams where jid = $1",
                handle.id,
            )
        )

    await eventually(waits)
    await handle.signal(go, "x")
    await handle.result(timeout=60)


@dataclass(frozen=True)
class Shape:
    """One kind of run, and the most that one of it may cost.

    `rows` counts inserts, updates and deletes; `cold` the updates that were not HOT.
    """

    run: Callable[[Client, asyncpg.Connection], Awaitable[None]]
    trips: int
    transactions: int
    wal: int
    rows: int
    cold: int


# Trips, transactions, bytes of the log, rows, cold updates: of a single run as counted, the log and
# what is spread over fifty steps up to a tenth more.
SHAPES = {
    "one activity": Shape(lambda c, _: _once(c, chain(1)), 5, 3, 3_150, 9, 2),
    "fifty in sequence": Shape(lambda c, _: _once(c, chain(STEPS)), 57, 54, 21_800, 107, 2),
    "fifty at once": Shape(lambda c, _: _once(c, fan(STEPS)), 5, 3, 13_500, 58, 2),
    "a signal": Shape(_signalled, 7, 4, 3_900, 11, 2),
    "a timer": Shape(lambda c, _: _once(c, late()), 5, 3, 3_100, 9, 2),
    "a child": Shape(lambda c, _: _once(c, parent()), 11, 6, 6_750, 20, 4),
    "a hundred of five": Shape(_crowd, 40, 32, 600_000, 1_950, 330),
}
TABLES = ("jobs", "history", "worker_streams", "engine_streams")


async def _written(direct: asyncpg.Connection) -> tuple[int, ...]:
    """Rows written and cold updates so far; nothing while the statistics lag behind the tables."""
    rows = {
        r["relname"]: r
        for r in await direct.fetch(
            """select relname, n_tup_ins, n_tup_del, n_tup_upd, n_tup_hot_upd
            from pg_stat_user_tables where schemaname = current_schema()"""
        )
    }
    for table in TABLES:
        there = await direct.fetchval(f"select count(*) from {table}")
        if rows[table]["n_tup_ins"] - rows[table]["n_tup_del"] != there:
            return ()
    ours = [rows[table] for table in TABLES]
    return (
        sum(r["n_tup_ins"] + r["n_tup_del"] + r["n_tup_upd"] for r in ours),
        sum(r["n_tup_upd"] - r["n_tup_hot_upd"] for r in ours),
    )


@asynccontextmanager
async def _serving(dsn: str, namespace: str) -> AsyncIterator[Client]:
    """A client, and a worker that is none of its connections."""
    async with (
        await connect(dsn, namespace=namespace, migrate=True) as client,
        await connect(dsn, namespace=namespace, migrate=True) as other,
        Worker(other, workflows=[chain, fan, told, late, leaf, parent], activities=[add]),
    ):
        yield client


def _within(costs: list[tuple[int, int, int]], shape: Shape) -> bool:
    """Whether the least trips, transactions and bytes so far are within the ceilings."""
    least = [min(values) for values in zip(*costs, strict=True)]
    most = (shape.trips, shape.transactions, shape.wal)
    return all(a <= b for a, b in zip(least, most, strict=True))


@pytest.mark.parametrize("name", SHAPES)
async def test_a_run_costs_no_more_than_its_ceiling(
    name: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The least of several runs: without pages written whole, and what the machine's stalls add.

    Where a busy machine has torn many batches, more runs are counted before the ceiling decides.
    """
    shape, costs, rows = SHAPES[name], [], []
    monkeypatch.setattr(
        timers, "FLUSH_AFTER", 60.0
    )  # a step that a stall holds up costs a row more
    direct = await asyncpg.connect(database.dsn, server_settings={"search_path": database.schema})
    async with _serving(database.dsn, database.schema) as client:
        await shape.run(client, direct)
        for _ in range(RUNS):
            async with costing(direct, monkeypatch) as cost:
                await shape.run(client, direct)
            costs.append((len(cost.trips), cost.transactions, cost.wal))
    before = await eventually(lambda: _written(direct))
    for _ in range(SESSIONS):
        async with _serving(database.dsn, database.schema) as client:
            await shape.run(client, direct)
        # Its connections are closed: they have told the statistics what they did.
        after = await eventually(lambda: _written(direct))
        rows.append((after[0] - before[0], after[1] - before[1]))
        before = after
    await direct.close()
    found = tuple(min(values) for part in (costs, rows) for values in zip(*part, strict=True))
    most = (shape.trips, shape.transactions, shape.wal, shape.rows, shape.cold)
    assert all(a <= b for a, b in zip(found, most, strict=True)), (found, most)
