"""Worker processes die at any moment; what was recorded stands, what was not is done by others."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from typing import Any

import pytest

from durable.client.client import Client
from durable.client.handle import Handle
from tests.faults.conftest import Spawn
from tests.faults.driver import Journal, Observer
from tests.faults.programs import (
    approval,
    census,
    census_worth,
    once,
    once_worths,
    order,
    order_worth,
)

KILLS = int(os.environ.get("DURABLE_TEST_KILLS", "12"))
SEED = int(os.environ.get("DURABLE_TEST_SEED", "7"))


class Load:
    """Censuses and orders, as many as it takes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._expected: list[tuple[Handle[Any], list[Any]]] = []

    async def more(self) -> None:
        """Start another census of 31 steps in four runs, four orders, and four charges."""
        n = len(self._expected)
        key = f"c{n}"
        census_handle = await self._client.start(census(key, 3, 5, 0.005), id=key)
        self._expected.append((census_handle, [census_worth(key, 3, 5)]))
        for i in range(4):
            key = f"o{n}-{i}"
            handle = await self._client.start(order(key), id=key)
            await handle.signal(approval, n * 10 + i)
            self._expected.append((handle, [order_worth(key, n * 10 + i)]))
            key = f"x{n}-{i}"
            self._expected.append((await self._client.start(once(key, 0.01)), once_worths(key)))

    async def results_are_exact(self) -> None:
        """Await every run."""
        for handle, expected in self._expected:
            assert await handle.result(timeout=60) in expected, handle.id


@pytest.mark.timeout(180 + 8 * KILLS)
async def test_killing_the_worker_at_random_moments_changes_no_result(
    client: Client, spawn: Spawn, journal: Journal, observer: Observer
) -> None:
    """Kill -9 at random moments: exact results, no recorded step again, no charge twice."""
    rng = random.Random(SEED)
    await observer.deaths_count()
    load = Load(client)
    await load.more()
    worker = await spawn()
    for _ in range(KILLS):
        if rng.random() < 0.2:
            await worker.lives(rng.uniform(0, 0.3))
        else:
            await load.more()
            await journal.reaches(journal.size() + rng.randrange(1, 90))
        await asyncio.gather(worker.kill(), _into(spawn, fresh := []))
        worker = fresh[0]
    await load.results_are_exact()
    await observer.nothing_is_left()
    await observer.no_recorded_step_ran_again(journal)
    charges = Counter(line.label for line in journal.starts() if line.label.endswith("/charge"))
    assert set(charges.values()) == {1}
    await worker.kill()


async def _into(spawn: Spawn, found: list) -> None:
    found.append(await spawn())
