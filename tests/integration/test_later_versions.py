"""What a later version wrote is left to it, and ends no loop of this one."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import durable
from durable.client.client import Client
from durable.postgres.database import Database
from durable.worker.worker import Worker
from tests.waiting import eventually

go = durable.Signal("go", int)


@durable.activity
async def same(n: int) -> int:
    """What it was given."""
    return n


@durable.workflow
async def waiter(n: int) -> int:
    """A step, a wait, and a step."""
    return await same(n) + await go.receive()


WRITTEN = {
    "fact": """
        with later as (
            insert into {schema}.history (run_id, revision, kind, number, at, name)
            select run_id, revision + 1, 'update', 0, now(), 'u'
            from {schema}.jobs where run_id = $1
        ) update {schema}.jobs set revision = revision + 1 where run_id = $1""",
    "message": """
        insert into {schema}.engine_streams (
            stream_name, workflow_name, jid, run_id, msg_type, topic, created_at, visible_at)
        select 'default', 'waiter', jid, run_id, 'update', 'u', now(), now()
        from {schema}.jobs where run_id = $1""",
    "result": """
        insert into {schema}.engine_streams (
            stream_name, workflow_name, jid, run_id, msg_type, topic, dad, aid, created_at,
            visible_at)
        select 'default', 'waiter', jid, run_id, 'step', 'update', '7', 'u', now(), now()
        from {schema}.jobs where run_id = $1""",
}
TAKEN = {
    "fact": """
        with later as (
            delete from {schema}.history where run_id = $1 and kind = 'update'
        ) update {schema}.jobs set revision = revision - 1 where run_id = $1""",
    "message": "delete from {schema}.engine_streams where run_id = $1 and msg_type = 'update'",
    "result": "delete from {schema}.engine_streams where run_id = $1 and topic = 'update'",
}


@pytest.mark.parametrize("what", WRITTEN)
async def test_a_run_with_something_unknown_is_left_to_another_build(
    client: Client, database: Database, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is given back, later each time, with the reason; the others and the worker go on."""
    caplog.set_level(logging.WARNING, "durable")
    schema = database.schema
    given: dict[str, Any] = {"workflows": [waiter], "activities": [same]}
    async with Worker(client, **given):
        handles = [await client.start(waiter(n)) for n in range(3)]
        ids = [await handle.run_id() for handle in handles]

        async def waiting() -> bool:
            count = f"select count(*) = 6 from {schema}.history"
            return bool(await database.fetchval(count))

        await eventually(waiting, "all to wait")
    await database.fetch(WRITTEN[what].format(schema=schema), ids[0])
    async with Worker(client, **given) as worker:
        for handle in handles:
            await handle.signal(go, 10)
        assert [await h.result(timeout=60) for h in handles[1:]] == [11, 12]

        async def again() -> bool:
            times = f"select releases from {schema}.worker_streams where id = $1"
            return bool((await database.fetchval(times, ids[0]) or 0) >= 2)

        await eventually(again, "it to be tried again")
        assert await handles[0].status() == "running"
        assert "later version" in caplog.text
        assert "'update'" in caplog.text
        error = f"select error ->> 'message' from {schema}.worker_streams where id = $1"
        assert "left to a worker of that version" in await database.fetchval(error, ids[0])
        assert worker._events.broken is None
        # As the worker of a later version would have it.
        await database.fetch(TAKEN[what].format(schema=schema), ids[0])
        await database.fetch(
            f"update {schema}.worker_streams set visible_at = now() where id = $1", ids[0]
        )
        assert await handles[0].result(timeout=60) == 10


GRAPH = """
app:
  id: later
  version: '1'
  graphs:
    - subscribes: later.go
      activities:
        t1: {type: trigger}
        a1: {type: worker, topic: later.do}
      transitions:
        t1: [{to: a1}]
"""


async def test_engines_leave_messages_that_they_do_not_know(dsn: str, namespace: str) -> None:
    """A message of a later version is neither applied nor put aside, and holds up nothing."""

    async def do(message: dict[str, Any]) -> dict[str, Any]:
        return {"metadata": message["metadata"], "data": {}}

    mesh = await durable.HotMesh.init(
        app_id="later", namespace=namespace, engine={"connection": dsn},
        workers=[{"topic": "later.do", "connection": dsn, "callback": do}],
    )  # fmt: skip
    database = await Database.open(dsn, schema=namespace)
    try:
        await mesh.deploy(GRAPH)
        await mesh.activate("1")
        await database.fetch(
            f"insert into {namespace}.engine_streams (stream_name, workflow_name, jid, run_id,"
            " msg_type, priority, created_at, visible_at)"
            " values ('later', 'later.go', 'j', 1, 'update', 6, now(), now() - interval '1 hour')"
        )
        await asyncio.gather(*[mesh.pubsub("later.go", {}, timeout="60s") for _ in range(5)])
        left = await database.fetch(
            f"select expired_at, error from {namespace}.engine_streams where msg_type = 'update'"
        )
        assert [tuple(row) for row in left] == [(None, None)]
    finally:
        await mesh.stop()
        await database.close()
