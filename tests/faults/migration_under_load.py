"""From migration 0001 to the newest beside processes at work: does anybody wait, is anybody lost?

python -m tests.faults.migration_under_load [--waiting 100000] [--finished 1000000] [--dsn DSN]

A schema at 0001 is filled with runs, and brought to 0007 while plain statements use its tables.
Then workers and clients of the first release run short runs (as W2 does), and it goes on to the
newest, and one step further: a column that is filled in batches, and an index. A report that holds
the tables for five seconds stands in the way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tarfile
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import asyncpg

import durable
from benchmarks.backlog import FILL
from durable.postgres import migrator as migrating
from durable.postgres.database import Database
from durable.postgres.migrator import FIRST_RELEASE, Migration, migrate, migrations

HERE = Path(__file__).parent / "previous"
REPORT = 5.0  # seconds for which a report holds the tables

HEAVY = Migration(
    9001,
    "heavy",
    """
    alter table durable.jobs add column heavy integer;
    -- batched
    with batch as (
        select run_id from durable.jobs where run_id > $1 - 9000000000 order by run_id limit 2000
    ), done as (
        update durable.jobs j set heavy = 1 from batch b where j.run_id = b.run_id
    )
    select max(run_id) + 9000000000 from batch;
    create index jobs_heavy on durable.jobs (heavy, run_id);
    """,
)

PROBES = (
    """update {s}.worker_streams set priority = priority
    where id = (select max(id) from {s}.worker_streams)""",
    """update {s}.jobs set priority = priority
    where run_id = (select max(run_id) from {s}.jobs)""",
    """insert into {s}.history (run_id, revision, kind, number, at, name)
    values (0, (extract(epoch from clock_timestamp()) * 1000)::bigint % 2000000000, 'x', 0, now(),
        'x') on conflict do nothing""",
    "select count(*) from (select 1 from {s}.engine_streams limit 10) x",
)
WAITS = """
    select coalesce(max(extract(epoch from clock_timestamp() - query_start)), 0)::float8
    from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and state = 'active'
      and application_name <> 'durable migrations'
"""


@dataclass
class Found:
    """What was seen."""

    longest_wait: float = 0.0  # seconds for which any statement of others waited for a lock
    members: list[int] = field(default_factory=list)
    members_after: list[int] = field(default_factory=list)
    load: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def unpack(place: Path) -> Path:
    """The first release's package."""
    with tarfile.open(HERE / "acdb961.tar.xz") as archive:
        archive.extractall(place, filter="data")
    return place


async def launch(what: str, dsn: str, namespace: str, build: Path) -> Process:
    """`fleet.py` on a build, when it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "fleet.py"), what, dsn, namespace,
        stdin=PIPE, stdout=PIPE, env={**os.environ, "PYTHONPATH": str(build)},
    )  # fmt: skip
    assert process.stdout is not None
    said = (await process.stdout.readline()).decode().split()
    assert said[:1] == ["ready"], said
    assert Path(said[1]).is_relative_to(build), said
    return process


@asynccontextmanager
async def watched(dsn: str, found: Found) -> AsyncIterator[None]:
    """Note how long statements wait for locks, twenty times a second."""
    connection = await asyncpg.connect(dsn)

    async def look() -> None:
        while True:
            wait = await connection.fetchval(WAITS)
            found.longest_wait = max(found.longest_wait, wait)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(look())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        connection.terminate()


@asynccontextmanager
async def probing(dsn: str, namespace: str, found: Found) -> AsyncIterator[None]:
    """Use the tables by plain statements, each of which may take as long as a wait may."""

    async def use(statement: str) -> None:
        connection = await asyncpg.connect(dsn)
        try:
            while True:
                began = time.monotonic()
                await connection.execute(statement)
                found.longest_wait = max(found.longest_wait, time.monotonic() - began)
                await asyncio.sleep(0.01)
        finally:
            connection.terminate()

    tasks = [asyncio.create_task(use(probe.format(s=namespace))) for probe in PROBES]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _report(dsn: str, namespace: str) -> None:
    """A transaction of somebody's that has read the tables, and takes its time."""
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        for table in ("jobs", "worker_streams"):
            await connection.execute(f"select from {namespace}.{table} limit 1")
        await asyncio.sleep(REPORT)
    await connection.close()


async def up_to(database: Database, known: list[Migration], found: Found, what: str) -> None:
    """Migrate to the last of these."""
    began = time.monotonic()
    with mock.patch.object(migrating, "migrations", return_value=known):
        await migrate(database)
    found.seconds[what] = round(time.monotonic() - began, 1)


async def measure(dsn: str, namespace: str, *, waiting: int, finished: int, workers: int) -> Found:
    """Do it all in a schema of that name, which must not exist yet."""
    found, known = Found(), migrations()
    first = [m for m in known if m.number <= FIRST_RELEASE]
    database = await Database.open(dsn, schema=namespace)
    await up_to(database, first[:1], found, "0001")
    filling = await asyncpg.connect(dsn, server_settings={"search_path": namespace})
    began = time.monotonic()
    await filling.execute(FILL.format(finished=finished, waiting=waiting))
    for table in ("jobs", "history", "worker_streams", "engine_streams"):
        await filling.execute(f"vacuum analyze {table}")
    found.seconds["filling"] = round(time.monotonic() - began, 1)
    await filling.close()
    async with watched(dsn, found), probing(dsn, namespace, found):
        await up_to(database, first, found, "0007")
    with tempfile.TemporaryDirectory() as place:
        build = unpack(Path(place))
        fleet = await asyncio.gather(
            *[launch("worker", dsn, namespace, build) for _ in range(workers)],
            launch("w2", dsn, namespace, build),
        )
        try:
            found.members = await _members(database)
            async with watched(dsn, found):
                reporting = asyncio.create_task(_report(dsn, namespace))
                await up_to(database, known, found, "newest")
                await up_to(database, [*known, HEAVY], found, "heavy")
                await reporting
            found.members_after = await _members(database)
            printed, _ = await fleet[-1].communicate(b"")
            found.load = json.loads(printed)
        finally:
            for process in fleet:
                if process.returncode is None:
                    process.kill()
                await process.wait()
    left = f"select count(*) from {namespace}.jobs where finished_at is null"
    assert await database.fetchval(left) == waiting
    await database.close()
    return found


async def _members(database: Database) -> list[int]:
    rows = await database.fetch(f"select member_id from {database.schema}.members order by 1")
    return [row["member_id"] for row in rows]


async def _main(args: argparse.Namespace) -> None:
    async with await durable.connect(args.dsn, migrate=True) as host:
        connection = await asyncpg.connect(host.dsn)
        await connection.execute("drop schema if exists migration_under_load cascade")
        await connection.close()
        found = await measure(
            host.dsn, "migration_under_load",
            waiting=args.waiting, finished=args.finished, workers=2,
        )  # fmt: skip
    print(json.dumps(vars(found)), flush=True)  # noqa: T201
    assert found.longest_wait < 3, "a statement waited for more than three seconds"
    assert found.members == found.members_after, "a member was reaped"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--dsn", default=None, help="without it, an embedded Postgres")
    asyncio.run(_main(parser.parse_args()))
