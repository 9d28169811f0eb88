"""Worker processes die in a pause of their task queue, or at the moment in which it is set."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from durable.client.client import Client
from durable.hotmesh.mesh import HotMesh
from tests.faults.conftest import Spawn
from tests.faults.driver import Journal, Observer
from tests.faults.test_kills import Load
from tests.waiting import eventually

STILL = 0.7  # seconds in which nothing may happen: more than a sweep takes to free what is lost


@pytest.mark.parametrize("confirmed", [True, False])
@pytest.mark.timeout(180)
async def test_workers_killed_in_a_pause_leave_everything_to_whoever_comes_after_it(
    client: Client, spawn: Spawn, journal: Journal, observer: Observer, *, confirmed: bool
) -> None:
    """Two processes: in the pause nothing begins, in a third one neither; then each step once."""
    await observer.deaths_count()
    load = Load(client)
    for _ in range(6):
        await load.more()
    workers = await asyncio.gather(spawn(), spawn())
    await journal.reaches(60)
    async with await HotMesh.init(app_id="default", engine={"connection": client}) as mesh:
        if confirmed:
            assert await mesh.throttle(throttle=-1)
            assert await observer.value(_HELD) == 0
            await asyncio.gather(*[worker.kill() for worker in workers])
        else:
            await asyncio.gather(mesh.throttle(throttle=-1), *[worker.kill() for worker in workers])
        await _nothing_is_held(observer)
        before = journal.size()
        await spawn()
        loop = asyncio.get_running_loop()
        end = loop.time() + STILL
        await eventually(lambda: loop.time() > end)
        assert journal.size() == before
        assert await mesh.throttle(throttle=0)
    await load.results_are_exact()
    await observer.nothing_is_left()
    await observer.no_recorded_step_ran_again(journal)
    charges = Counter(line.label for line in journal.starts() if line.label.endswith("/charge"))
    assert set(charges.values()) == {1}


_HELD = (
    "select count(*) from durable.worker_streams"
    " where msg_type = 'turn' and reserved_by is not null"
)


async def _nothing_is_held(observer: Observer) -> None:
    async def free() -> bool:
        return bool(
            await observer.value(
                "select not exists (select from durable.worker_streams"
                " where reserved_by is not null and expired_at is null)"
            )
        )

    await eventually(free, "nothing held by the dead")
