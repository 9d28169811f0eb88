"""A graph awaits a workflow that awaits a graph whose worker is an activity.

The process that does all of it dies exactly before and exactly after each commit on the way: as in
`test_commit_points`, a trigger has the statement stand still when it has written everything.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from durable.hotmesh.mesh import HotMesh
from tests.faults.crossing_process import GRAPHS
from tests.faults.driver import Journal, Observer, WorkerProcess
from tests.faults.programs import worth
from tests.faults.test_commit_points import Gate, Point


async def _none(_client: Any, _key: str) -> None:
    """These points begin in another way."""


_CLAIMED = "old.reserved_by is null and new.reserved_by is not null and new.msg_type = "
_OVER = "new.finished_at is not null and "
_WHERE = [
    ("work of a graph is claimed", "update", "worker_streams", _CLAIMED + "'worker'"),
    ("its answer", "insert", "engine_streams", "new.msg_type = 'response'"),
    ("the graph starts the workflow", "insert", "jobs", "new.awaiter_id is not null"),
    ("the workflow is claimed", "update", "worker_streams", _CLAIMED + "'turn'"),
    ("the workflow asks for a graph", "insert", "engine_streams", "new.msg_type = 'begin'"),
    ("that graph begins", "insert", "jobs", "new.graph = 'inner'"),
    ("that graph ends", "insert", "engine_streams", "new.topic = 'graph'"),
    ("the workflow ends", "insert", "engine_streams", "new.msg_type = 'outcome'"),
    ("the first graph ends", "update", "jobs", _OVER + "new.graph = 'outer'"),
]  # fmt: skip
POINTS = [Point(name, _none, event, table, when) for name, event, table, when in _WHERE]
AGAIN = {"work of a graph is claimed", "its answer"}  # where an attempt may be cut off


@asynccontextmanager
async def _house(
    dsn: str, journal: Journal
) -> AsyncIterator[tuple[HotMesh, Observer, Gate, Callable[[], Awaitable[WorkerProcess]]]]:
    namespace = f"t_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(dsn)
    spawned: list[WorkerProcess] = []

    async def spawn() -> WorkerProcess:
        module = "tests.faults.crossing_process"
        spawned.append(await WorkerProcess.spare(dsn, namespace, journal, module=module))
        return spawned[-1]

    try:
        async with await HotMesh.init(
            app_id="hub", namespace=namespace, engine={"connection": dsn}
        ) as deploying:
            await deploying.deploy(GRAPHS)
            await deploying.activate("1")
        async with await HotMesh.init(
            app_id="hub", namespace=namespace, engine={"connection": dsn, "readonly": True}
        ) as mesh:
            yield mesh, Observer(connection, namespace), Gate(connection, namespace), spawn
    finally:
        for worker in spawned:
            await worker.kill()
        try:
            await connection.execute(f'drop schema "{namespace}" cascade')
        finally:
            await connection.close()


@pytest.mark.timeout(400)  # eighteen deaths, and as many processes begun
async def test_a_process_killed_around_each_commit_of_a_crossing(dsn: str, tmp_path: Path) -> None:
    """Killed before it or after it, each commit leaves one job of each kind, with one answer."""
    for directory in ("before", "after"):
        (tmp_path / directory).mkdir()
    async with asyncio.TaskGroup() as both:
        both.create_task(_killed_at_each(dsn, Journal(tmp_path / "before"), happened=False))
        both.create_task(_killed_at_each(dsn, Journal(tmp_path / "after"), happened=True))


async def _killed_at_each(dsn: str, journal: Journal, *, happened: bool) -> None:
    async with _house(dsn, journal) as (mesh, observer, gate, spawn):
        await observer.deaths_count()
        worker, successor = await spawn(), await spawn()
        await worker.serve()
        for n, point in enumerate(POINTS):
            await gate.shut(point)
            first, second = f"p{n}/first", f"p{n}/second"
            await mesh.pub("outer", {"key": f"p{n}", "first": first, "second": second})
            pids = await gate.standing()
            await worker.kill()
            if not happened:
                await gate.end(pids)
            await gate.open(point, pids)
            for member in await observer.members_of(worker.pid):
                await observer.beat_was(member, 5)  # else each death would take two seconds
            worker, successor = successor, await spawn()
            await worker.serve()
            job = await _ended(mesh, f"p{n}")
            assert job["data"] == {"sum": worth(first) + worth(second)}, point.name
        await observer.nothing_is_left()
        await _each_once(observer, journal)


async def _ended(mesh: HotMesh, jid: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while await mesh.get_status(jid):  # noqa: ASYNC110 - the engine is another process
            await asyncio.sleep(0.05)
    found: dict[str, Any] = await mesh.get_state("outer", jid)
    return found


async def _each_once(observer: Observer, journal: Journal) -> None:
    """One job of each kind for each start, one fact of each graph, and no attempt too many."""
    count = len(POINTS)
    rows = await observer.rows(
        "select graph, state, count(*) as n from durable.jobs group by graph, state"
    )
    assert {(r["graph"], r["state"]): r["n"] for r in rows} == {
        ("outer", "completed"): count,
        ("middle", "completed"): count,
        ("inner", "completed"): count,
    }
    assert (
        await observer.value("select count(*) from durable.history where kind = 'graph'") == count
    )
    starts = Counter(line.label for line in journal.starts())
    assert len(starts) == 2 * count
    for n, point in enumerate(POINTS):
        for label in (f"p{n}/first", f"p{n}/second"):
            assert starts[label] <= (2 if point.name in AGAIN else 1), (point.name, label)
