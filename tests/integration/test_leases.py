"""No code begins under a lease that others may have ended: it waits for a beat.

A member's beat is kept waiting by a lock on its row, while all its other connections work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

import durable
from durable.client.client import Client
from durable.hotmesh.mesh import HotMesh
from durable.store.members import MemberStore
from durable.worker.worker import Worker
from tests.waiting import eventually

began: list[str] = []
GRAPH = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        work: {type: worker, topic: '{t1.output.data.topic}'}
      transitions: {t1: [{to: work}]}
"""
HELD = """select reserved_by from worker_streams w
    where w.reserved_by is not null and w.expired_at is null
    and w.run_id = (select run_id from jobs where jid = $1) and w.msg_type = $2"""
OVERDUE = """select 1 from pg_stat_activity where wait_event_type = 'Lock'
    and application_name = 'durable member' and clock_timestamp() - query_start > interval '1.2 s'
    and datname = current_database() and query like '%' || current_schema() || '%'"""


@durable.activity
async def waits() -> None:
    """Keeps its worker busy, so that it beats."""
    await asyncio.Event().wait()


@durable.activity(start_to_close_timeout=0.5)
async def on_the_loop() -> str:
    """May be repeated; has less time than the beat will take."""
    began.append("on_the_loop")
    return "done"


@durable.activity(start_to_close_timeout=0.5)
def on_a_thread() -> str:
    """The same, on a thread."""
    began.append("on_a_thread")
    return "done"


@durable.activity(retry=durable.RetryPolicy(maximum_attempts=1))
async def once() -> str:
    """May not be repeated."""
    began.append("once")
    return "done"


@durable.workflow
async def one_step(name: str) -> Any:
    """Takes the step of that name."""
    step: Any = {"waits": waits, "on_the_loop": on_the_loop, "on_a_thread": on_a_thread}.get(name)
    try:
        return await (step or once)()
    except durable.ActivityFailed as error:
        return type(error.cause or error).__name__ + str(error)


@pytest.fixture(autouse=True)
def _none_began() -> None:
    began.clear()


async def _held(direct: asyncpg.Connection, jid: str, kind: str) -> int:
    """The member that has reserved the attempt of this job."""
    return int(await eventually(lambda: direct.fetchval(HELD, jid, kind)))


@asynccontextmanager
async def _overdue(dsn: str, namespace: str, member: int) -> AsyncIterator[asyncpg.Connection]:
    """Within, the member's beat waits; gives the connection that has locked its row."""
    locking, looking = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    try:
        async with locking.transaction():
            await locking.execute(
                f'select from "{namespace}".members where member_id = $1 for update', member
            )
            await looking.execute(f'set search_path to "{namespace}"')
            await eventually(lambda: looking.fetchval(OVERDUE))
            yield locking
    finally:
        await locking.close()
        await looking.close()


@pytest.mark.parametrize("step", ["on_the_loop", "on_a_thread", "once"])
@pytest.mark.parametrize("taken_for_dead", [False, True])
async def test_an_activity_begins_under_a_fresh_lease(
    client: Client, direct: asyncpg.Connection, dsn: str, *, step: str, taken_for_dead: bool
) -> None:
    """An attempt that is reserved while the beat is overdue begins after the beat, or elsewhere."""
    activities = [waits, on_the_loop, on_a_thread, once]
    async with Worker(client, workflows=[one_step], activities=activities, grace=0):
        await client.start(one_step("waits"), id="busy")
        member = await _held(direct, "busy", "activity")
        async with _overdue(dsn, client.namespace, member) as locking:
            handle = await client.start(one_step(step), id="run")
            assert await _held(direct, "run", "activity") == member
            assert began == []
            if taken_for_dead:
                await MemberStore(client.namespace).reap(locking, member)
        result = await handle.result(timeout=30)
    if taken_for_dead and step == "once":
        assert "OutcomeUnknown" in result
        assert began == []
    else:
        assert result == "done"
        assert began == [step]


@pytest.mark.parametrize("taken_for_dead", [False, True])
async def test_a_callback_begins_under_a_fresh_lease(
    client: Client, direct: asyncpg.Connection, dsn: str, *, taken_for_dead: bool
) -> None:
    """The same of a graph's callback."""

    async def work(message: dict[str, Any]) -> None:
        if message["metadata"]["topic"] == "waits":
            await asyncio.Event().wait()
        began.append(message["metadata"]["jid"])

    mesh = await HotMesh.init(
        app_id="app", namespace=client.namespace, engine={"connection": client},
        workers=[{"topic": topic, "callback": work} for topic in ("waits", "works")],
    )  # fmt: skip
    try:
        await mesh.deploy(GRAPH)
        await mesh.activate("1")
        await mesh.pub("t", {"id": "busy", "topic": "waits"})
        member = await _held(direct, "busy", "worker")
        async with _overdue(dsn, client.namespace, member) as locking:
            await mesh.pub("t", {"id": "job", "topic": "works"})
            assert await _held(direct, "job", "worker") == member
            assert began == []
            if taken_for_dead:
                await MemberStore(client.namespace).reap(locking, member)

        async def ended() -> bool:
            return await mesh.get_status("job") == 0

        await eventually(ended)
    finally:
        await mesh.stop(0)
    assert began == ["job"]
