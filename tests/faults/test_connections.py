"""Connections are cut, one kind after the other and at random; no process dies of it."""

from __future__ import annotations

import asyncio
import os
import random

import asyncpg
import pytest

from durable.client.client import Client
from durable.client.handle import Handle
from durable.worker.worker import Worker
from tests.faults.conftest import Spawn
from tests.faults.driver import Journal, Observer
from tests.faults.programs import approval, order, order_worth, steps, steps_worth
from tests.waiting import eventually

KINDS = ["durable pool", "durable commits", "durable listen", "durable member"]
CUTS = int(os.environ.get("DURABLE_TEST_CUTS", "40"))
SEED = int(os.environ.get("DURABLE_TEST_SEED", "7"))
RUNS = 200


async def _approved(client: Client, key: str, number: int) -> Handle[list[int]]:
    handle = await client.start(order(key), id=key)
    await handle.signal(approval, number)
    return handle


async def test_cutting_any_connection_costs_no_step(
    client: Client, spawn: Spawn, journal: Journal, observer: Observer
) -> None:
    """Every kind of connection is cut again and again under 200 runs: each step runs once."""
    rng = random.Random(SEED)
    worker = await spawn()
    before = await observer.members_of(worker.pid)
    starting = [
        asyncio.create_task(_approved(client, f"o{n}", n))
        if n % 2
        else asyncio.create_task(client.start(steps(f"s{n}", 12, 0.02), id=f"s{n}"))
        for n in range(RUNS)
    ]
    for cut in range(CUTS):  # about one every 40 ms
        await journal.reaches(journal.size() + rng.randrange(1, 40), within=1, strict=False)
        kind = KINDS[cut] if cut < len(KINDS) else rng.choice(KINDS)
        await observer.cut(kind, rng)
    async with asyncio.timeout(150):
        handles = await asyncio.gather(*starting)
        results = await asyncio.gather(*[h.result() for h in handles])
    for n, result in enumerate(results):
        assert result == (order_worth(f"o{n}", n) if n % 2 else steps_worth(f"s{n}", 12)), n
    assert await observer.members_of(worker.pid) == before
    await observer.nothing_is_left()
    await observer.no_recorded_step_ran_again(journal)


@pytest.mark.parametrize("table", ["migrations", "app_versions", "worker_streams", "members"])
async def test_a_worker_starts_though_its_connection_is_cut_meanwhile(
    client: Client, direct: asyncpg.Connection, dsn: str, table: str
) -> None:
    """Whatever its start is about to do when that happens is done again."""
    cut = f"""select pg_terminate_backend(pid) from pg_stat_activity
        where wait_event_type = 'Lock' and query like '%{client.namespace}%{table}%'"""
    locking = await asyncpg.connect(dsn)
    worker = Worker(client, workflows=[steps], activities=[], grace=0)
    try:
        async with locking.transaction():
            await locking.execute(f'lock table "{client.namespace}".{table}')
            starting = asyncio.create_task(worker.start())
            assert await eventually(lambda: direct.fetch(cut))
        await asyncio.wait_for(starting, 60)
    finally:
        await locking.close()
        await worker.stop()
