"""State of functions is changed exactly once, however often the processes that carry them die."""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest

from durable.client.client import Client
from tests.faults.conftest import Spawn
from tests.faults.driver import Journal, Observer
from tests.faults.programs import approval, ledger, ledger_worth

KILLS = int(os.environ.get("DURABLE_TEST_KILLS", "6"))
RUNS = 6
STEPS = 14


@pytest.mark.timeout(180 + 8 * KILLS)
async def test_killed_workers_change_state_exactly_once(
    client: Client, spawn: Spawn, journal: Journal, observer: Observer
) -> None:
    """Kill -9 at random moments: sums, lists and products are those of an undisturbed run."""
    rng = random.Random(11)
    await observer.deaths_count()
    handles = [
        await client.start(
            ledger(f"l{n}", STEPS), id=f"l{n}", attributes={"begun": n}, entity={"log": ["begun"]}
        )
        for n in range(RUNS)
    ]
    worker = await spawn()
    for n in range(KILLS):
        if n < RUNS:
            await handles[n].signal(approval, n)
        await journal.reaches(journal.size() + rng.randrange(1, 9), within=2, strict=False)
        fresh: list[Any] = []

        async def replaced(into: list[Any] = fresh) -> None:
            into.append(await spawn())

        await asyncio.gather(worker.kill(), replaced())
        worker = fresh[0]
    for n, handle in enumerate(handles):
        if n >= KILLS:
            await handle.signal(approval, n)
        expected = ledger_worth(f"l{n}", STEPS, n)
        assert await handle.result(timeout=60) == expected
        described = await handle.describe()
        assert (described.attributes, described.entity) == (
            {"begun": n, **expected["attributes"]}, expected["entity"],
        )  # fmt: skip
        assert await client.count(attributes={"begun": n, "approved": n}) == 1
    await observer.nothing_is_left()
    await observer.no_recorded_step_ran_again(journal)
