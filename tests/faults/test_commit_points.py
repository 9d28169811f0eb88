"""A worker dies exactly before and exactly after each kind of commit.

A trigger lets the statement stand still when it has written everything and not yet committed. Then
the worker is killed, and its session is either ended, so that the commit never happened, or let go
on, so that it did happen and nobody was there to hear of it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from durable.client.client import Client
from durable.composition import connect
from tests.faults.driver import Journal, Observer, WorkerProcess
from tests.faults.programs import (
    approval,
    census,
    census_worth,
    once,
    once_worths,
    order,
    order_worth,
    refused,
    steps,
    steps_worth,
)
from tests.waiting import eventually

Begin = Callable[[Client, str], Awaitable[Any]]


async def _steps(client: Client, key: str) -> Any:
    handle = await client.start(steps(key, 3), id=key)
    return handle, [steps_worth(key, 3)]


async def _order(client: Client, key: str) -> Any:
    handle = await client.start(order(key), id=key)
    await handle.signal(approval, 1)
    return handle, [order_worth(key, 1)]


async def _census(client: Client, key: str) -> Any:
    handle = await client.start(census(key, 2, 1), id=key)
    return handle, [census_worth(key, 2, 1)]


async def _refused(client: Client, key: str) -> Any:
    # Whether the refusal was recorded or its outcome became unknown: it was asked for once.
    return await client.start(refused(key), id=key), ["PermissionError", "OutcomeUnknown"]


async def _once(client: Client, key: str) -> Any:
    return await client.start(once(key, 0.0), id=key), once_worths(key)


@dataclass(frozen=True)
class Point:
    """A kind of commit: what to run, and by which row it is known."""

    name: str
    begin: Begin
    event: str
    table: str
    when: str


_CLAIMED = "old.reserved_by is null and new.reserved_by is not null and new.msg_type = "
POINTS = [
    Point("claim of a run", _steps, "update", "worker_streams", _CLAIMED + "'turn'"),
    Point("first turn", _steps, "insert", "history", "new.kind = 'started'"),
    Point("step", _steps, "insert", "history", "new.kind = 'activity' and new.number = 2"),
    Point("end", _steps, "insert", "history", "new.kind = 'finished'"),
    Point("claim of an attempt", _order, "update", "worker_streams", _CLAIMED + "'activity'"),
    Point("retry", _order, "insert", "worker_streams", "new.retry_attempt = 1"),
    Point("signal", _order, "insert", "history", "new.kind = 'signal'"),
    Point("timer", _order, "insert", "history", "new.kind = 'timer'"),
    Point("start of a child", _census, "insert", "jobs", "new.parent_run_id is not null"),
    Point("end of a child", _census, "insert", "engine_streams", "new.topic = 'child'"),
    Point("only attempt", _once, "insert", "worker_streams", "new.msg_type = 'activity'"),
    Point("failure for good", _refused, "insert", "engine_streams", "new.topic = 'activity'"),
]
LATE = {"first turn", "step", "signal", "timer", "start of a child"}  # others keep burials waiting


class Gate:
    """Where commits stand still, in one namespace."""

    def __init__(self, connection: asyncpg.Connection, namespace: str) -> None:
        self._connection = connection
        self._observer = Observer(connection, namespace)
        self._key = secrets.randbits(62)

    async def shut(self, point: Point) -> None:
        """Let the next commit of this kind stand still."""
        await self._observer.value("select pg_advisory_lock($1)", self._key)
        await self._observer.rows(
            "create or replace function durable.stand() returns trigger language plpgsql as"
            f" 'begin perform pg_advisory_xact_lock_shared({self._key}); return null; end'"
        )
        await self._observer.rows(
            f"create trigger stand after {point.event} on durable.{point.table} for each row"
            f" when ({point.when}) execute function durable.stand()"
        )

    async def standing(self) -> list[int]:
        """The sessions that stand there, as soon as there is one."""

        async def found() -> list[int]:
            rows = await self._observer.rows(
                "select pid from pg_locks where locktype = 'advisory' and not granted"
                " and (classid::bigint << 32) + objid::bigint = $1", self._key,
            )  # fmt: skip
            return [row["pid"] for row in rows]

        pids: list[int] = await eventually(found, "a commit that stands still")
        return pids

    async def end(self, pids: list[int]) -> None:
        """End sessions: what they were about to commit never happens."""
        for pid in pids:
            await self._observer.rows("select pg_terminate_backend($1)", pid)

    async def open(self, point: Point, pids: list[int]) -> None:
        """Let everything pass; returns when those sessions, which nobody listens to, have ended."""
        await self._observer.value("select pg_advisory_unlock($1)", self._key)

        async def gone() -> bool:
            return not await self._observer.rows(
                "select pid from pg_stat_activity where pid = any($1)", pids
            )

        await eventually(gone, "the end of the dead worker's sessions")
        await self._observer.rows(f"drop trigger stand on durable.{point.table}")


@asynccontextmanager
async def _house(
    dsn: str, journal: Journal
) -> AsyncIterator[tuple[Client, Observer, Gate, Callable[[], Awaitable[WorkerProcess]]]]:
    namespace = f"t_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(dsn)
    spawned: list[WorkerProcess] = []

    async def spawn() -> WorkerProcess:
        spawned.append(await WorkerProcess.spare(dsn, namespace, journal))
        return spawned[-1]

    try:
        async with await connect(dsn, namespace=namespace, migrate=True) as client:
            yield client, Observer(connection, namespace), Gate(connection, namespace), spawn
    finally:
        for worker in spawned:
            await worker.kill()
        try:
            await connection.execute(f'drop schema "{namespace}" cascade')
        finally:
            await connection.close()


@pytest.mark.timeout(400)  # some twenty-four deaths, and as many processes begun
async def test_a_worker_killed_around_each_kind_of_commit(dsn: str, tmp_path: Path) -> None:
    """Killed before it or after it, each kind of commit leaves a run that ends as it should."""
    for directory in ("before", "after"):
        (tmp_path / directory).mkdir()
    async with asyncio.TaskGroup() as both:
        both.create_task(_killed_at_each(dsn, Journal(tmp_path / "before"), happened=False))
        both.create_task(_killed_at_each(dsn, Journal(tmp_path / "after"), happened=True))


async def _killed_at_each(dsn: str, journal: Journal, *, happened: bool) -> None:
    async with _house(dsn, journal) as (client, observer, gate, spawn):
        await observer.deaths_count()
        worker, successor = await spawn(), await spawn()
        await worker.serve()
        for n, point in enumerate(POINTS):
            await gate.shut(point)
            handle, expected = await point.begin(client, f"p{n}")
            pids = await gate.standing()
            await worker.kill()
            if not happened:
                await gate.end(pids)
            await gate.open(point, pids)
            for member in await observer.members_of(worker.pid):
                await observer.beat_was(member, 5)  # else each death would take two seconds
            worker, successor = successor, await spawn()
            await worker.serve()
            assert await handle.result(timeout=60) in expected, point.name
        await observer.nothing_is_left()
        await observer.no_recorded_step_ran_again(journal)
        starts = [line.label for line in journal.starts()]
        for label in ("p10/charge", "p11/refuse"):
            assert starts.count(label) <= 1, f"{label} ran twice"


async def test_a_commit_that_outlives_its_worker(dsn: str, tmp_path: Path) -> None:
    """Its run is taken over when the dead worker's commit has landed, and not before."""
    journal = Journal(tmp_path)
    async with _house(dsn, journal) as (client, observer, gate, spawn):
        await observer.deaths_count()
        worker, successor = await spawn(), await spawn()
        await worker.serve()
        for n, point in enumerate(p for p in POINTS if p.name in LATE):
            await gate.shut(point)
            handle, expected = await point.begin(client, f"p{n}")
            pids = await gate.standing()
            await worker.kill()
            for member in await observer.members_of(worker.pid):
                await observer.beat_was(member, 5)
            worker, successor = successor, await spawn()
            await worker.serve()
            await observer.is_free(handle.id)
            await observer.sweeps(1)
            await gate.open(point, pids)
            assert await handle.result(timeout=60) in expected, point.name
        await observer.nothing_is_left()
        await observer.no_recorded_step_ran_again(journal)
