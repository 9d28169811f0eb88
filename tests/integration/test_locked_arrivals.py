"""What is sent to a run while its row is locked arrives: no statement that waited overlooks it.

A statement that locks a row waits for whoever has it, and then looks at the row's newest version.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
import pytest_asyncio

import durable
from durable.client.client import Client
from durable.store.members import MemberStore
from durable.worker.worker import Worker
from tests.waiting import eventually

go = durable.Signal("go")


@durable.activity(retry=durable.RetryPolicy(maximum_attempts=1))
async def far() -> str:
    """Runs on a queue of its own."""
    await asyncio.Event().wait()
    return "never"


@durable.activity
async def near() -> str:
    """Runs on a queue of its own, and ends."""
    return "done"


@durable.workflow
async def ends_when_told() -> str:
    """Waits for a signal."""
    await go.receive()
    return "told"


@durable.workflow
async def asks_far(start: float | None = None) -> str:
    """A step on another queue, whose failure it tells."""
    try:
        return await far.options(task_queue="far", schedule_to_start_timeout=start)()
    except durable.ActivityFailed as error:
        return str(error)


@durable.workflow
async def asks_near() -> str:
    """A step on another queue."""
    return await near.options(task_queue="far")()


@durable.workflow
async def has_child() -> str:
    """Waits for its child; says how it ended."""
    try:
        return await ends_when_told.options(id="child")()
    except durable.ChildFailed as error:
        return str(error)


@durable.workflow
async def gives_up() -> str:
    """Waits for its child until it is told, then leaves it."""
    waiting = asyncio.create_task(ends_when_told.options(id="child")())
    await go.receive()
    waiting.cancel()
    return "gave up"


class Locked:
    """Rows of runs that somebody holds, as a claim does for a moment."""

    def __init__(self, looks: asyncpg.Connection, dsn: str) -> None:
        self._looks = looks
        self._dsn = dsn

    async def run_id(self, jid: str) -> int:
        """The run of an id, once it is there, and its turn is over."""
        query = (
            "select run_id from jobs j join worker_streams w using (run_id)"
            " where j.jid = $1 and w.msg_type = 'turn' and w.reserved_by is not null"
            " and (j.revision > 0 or j.graph = 'ends_when_told')"  # whose first turn writes nothing
        )
        await eventually(lambda: self._looks.fetchval(query, jid))
        return int(await self._looks.fetchval(query, jid))

    @asynccontextmanager
    async def wake_row(self, run_id: int) -> AsyncIterator[None]:
        """Somebody else writes the row that wakes a run, until a statement waits for it."""
        holder = await asyncpg.connect(self._dsn)
        pid = holder.get_server_pid()
        schema = await self._looks.fetchval("select current_schema")
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute(
            f'update "{schema}".worker_streams set reserved_at = now() where id = $1', run_id
        )
        try:
            yield
            waits = "select 1 from pg_stat_activity where $1 = any(pg_blocking_pids(pid))"
            await eventually(lambda: self._looks.fetchval(waits, pid))
        finally:
            await transaction.commit()
            await holder.close()


@pytest_asyncio.fixture
async def locked(client: Client) -> AsyncIterator[Locked]:
    """Holds rows of the test's schema."""
    looks = await asyncpg.connect(client.dsn, server_settings={"search_path": client.namespace})
    yield Locked(looks, client.dsn)
    await looks.close()


async def test_a_signal(client: Client, locked: Locked) -> None:
    """A signal that waited for the row is received."""
    async with Worker(client, workflows=[ends_when_told]):
        handle = await client.start(ends_when_told(), id="run")
        async with locked.wake_row(await locked.run_id("run")):
            sending = asyncio.create_task(handle.signal(go))
        await sending
        assert await handle.result(timeout=60) == "told"


async def test_the_termination_of_a_parent(client: Client, locked: Locked) -> None:
    """The child is asked to stop."""
    handle = await client.start(has_child(), id="parent")
    async with Worker(client, workflows=[has_child, ends_when_told]):
        async with locked.wake_row(await locked.run_id("child")):
            ending = asyncio.create_task(handle.terminate())
        await ending
        with pytest.raises(durable.WorkflowCancelled):
            await client.handle("child").result(timeout=60)


async def test_the_termination_of_a_child(client: Client, locked: Locked) -> None:
    """The parent hears that its child was terminated."""
    handle = await client.start(has_child(), id="parent")
    async with Worker(client, workflows=[has_child, ends_when_told]):
        await locked.run_id("child")
        async with locked.wake_row(await locked.run_id("parent")):
            ending = asyncio.create_task(client.handle("child").terminate())
        await ending
        assert "WorkflowTerminated" in await handle.result(timeout=60)


async def test_the_end_of_a_child(client: Client, locked: Locked) -> None:
    """The parent gets the result."""
    handle = await client.start(has_child(), id="parent")
    async with Worker(client, workflows=[has_child, ends_when_told]):
        await locked.run_id("child")
        async with locked.wake_row(await locked.run_id("parent")):
            await client.handle("child").signal(go)
        assert await handle.result(timeout=60) == "told"


async def test_a_parent_that_gives_up(client: Client, locked: Locked) -> None:
    """Its child is asked to stop."""
    handle = await client.start(gives_up(), id="parent")
    async with Worker(client, workflows=[gives_up, ends_when_told]):
        async with locked.wake_row(await locked.run_id("child")):
            await handle.signal(go)
        with pytest.raises(durable.WorkflowCancelled):
            await client.handle("child").result(timeout=60)
        assert await handle.result(timeout=60) == "gave up"


async def test_the_result_of_a_step_elsewhere(client: Client, locked: Locked) -> None:
    """The run of the other task queue gets it."""
    async with Worker(client, workflows=[asks_near]):
        handle = await client.start(asks_near(), id="run")
        run = await locked.run_id("run")
        elsewhere = Worker(client, task_queue="far", activities=[near])
        async with locked.wake_row(run):
            await elsewhere.start()
        assert await handle.result(timeout=60) == "done"
        await elsewhere.stop()


async def test_a_step_that_nobody_took_in_time(client: Client, locked: Locked) -> None:
    """The run is told, though the one that tells it had to wait."""
    async with Worker(client, workflows=[asks_far]):
        handle = await client.start(asks_far(3.0), id="run")
        async with locked.wake_row(await locked.run_id("run")):
            pass
        assert "schedule_to_start" in await handle.result(timeout=60)


async def test_the_last_attempt_of_a_member_that_was_lost(
    client: Client, locked: Locked, direct: asyncpg.Connection
) -> None:
    """The run of the other task queue hears that its outcome is unknown."""
    held = "select reserved_by from worker_streams where msg_type = 'activity'"
    async with (
        Worker(client, workflows=[asks_far]),
        Worker(client, task_queue="far", activities=[far], grace=0),
    ):
        handle = await client.start(asks_far(), id="run")
        await eventually(lambda: direct.fetchval(held))
        member = await direct.fetchval(held)
        async with locked.wake_row(await locked.run_id("run")):
            reaping = asyncio.create_task(MemberStore(client.namespace).reap(direct, member))
        await reaping
        assert "is unknown" in await handle.result(timeout=60)
