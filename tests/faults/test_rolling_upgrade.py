"""From the first release to this one and back, under load: nothing stops, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tarfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from durable.composition import connect
from durable.postgres.database import Database
from durable.postgres.migrator import migrate, migrations, pending
from tests.faults.driver import ROOT
from tests.faults.previous import fleet
from tests.waiting import eventually

HERE = Path(fleet.__file__).parent
Start = Callable[..., Awaitable[Process]]


@pytest.fixture(scope="session")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first release, unpacked."""
    place = tmp_path_factory.mktemp("acdb961")
    with tarfile.open(HERE / "acdb961.tar.xz") as archive:
        archive.extractall(place, filter="data")
    return place


@pytest.fixture
def namespace(unmigrated: str) -> str:
    """A schema that is not there yet: the first release is to make it."""
    return unmigrated


@pytest_asyncio.fixture
async def start(dsn: str, namespace: str) -> AsyncIterator[Start]:
    """Starts `fleet.py` on a build, and returns when it is ready; kills what is left."""
    started: list[Process] = []

    async def starting(what: str, build: Path) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "fleet.py"), what, dsn, namespace,
            stdin=PIPE, stdout=PIPE, env={**os.environ, "PYTHONPATH": str(build)},
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        said = (await process.stdout.readline()).decode().split()
        assert said[:1] == ["ready"]
        assert Path(said[1]).is_relative_to(build)
        return process

    yield starting
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _stop(process: Process) -> None:
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_the_first_release_and_this_one_work_side_by_side(
    dsn: str, namespace: str, previous: Path, start: Start
) -> None:
    """A fleet is migrated under load, mixed, half killed, and rolled back: all runs end right."""
    *old, load = await asyncio.gather(
        start("worker", previous), start("worker", previous), start("load", previous)
    )
    database = await Database.open(dsn, schema=namespace)

    async def ended() -> int:
        count = f"select count(*) from {namespace}.jobs where state = 'completed'"
        return int(await database.fetchval(count))

    await eventually(ended, "runs of the old fleet")
    assert [m.number for m in await migrate(database)] == [m.number for m in migrations()[7:]]
    # The new build, and the old one anew, beside a schema that it does not know.
    new, again = await asyncio.gather(start("worker", ROOT), start("worker", previous))
    async with await connect(dsn, namespace=namespace, migrate=True) as client:
        mixed = [asyncio.create_task(fleet.run_one(client, f"new-{n}")) for n in range(20)]
        old.pop().kill()  # what it held goes to either build
        await eventually(_done(mixed[:5]), "runs of both builds")
        more = [asyncio.create_task(fleet.run_one(client, f"more-{n}")) for n in range(10)]
        await _stop(new)  # the rollback: what the new build began goes on with the old one
        late = [asyncio.create_task(fleet.run_one(client, f"late-{n}")) for n in range(5)]
        assert await asyncio.gather(*mixed, *more, *late) == [
            fleet.worth(f"{word}-{n}")
            for word, count in (("new", 20), ("more", 10), ("late", 5))
            for n in range(count)
        ]
        printed, _ = await load.communicate(b"")
        results = json.loads(printed)
        assert len(results) > 10
        assert results == {run: fleet.worth(run) for run in results}
        assert await client.count(state="running") == 0
    states = await database.fetch(f"select distinct state from {namespace}.jobs")
    assert [r["state"] for r in states] == ["completed"]
    for table in ("worker_streams", "engine_streams"):
        left = f"select count(*) from {namespace}.{table} where expired_at is null"
        assert await database.fetchval(left) == 0
    for process in (*old, again):
        await _stop(process)
    assert await pending(database) == []
    await database.close()


def _done(tasks: list[asyncio.Task[int]]) -> Callable[[], Awaitable[bool]]:
    async def done() -> bool:
        return all(task.done() for task in tasks)

    return done
