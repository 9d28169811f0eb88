# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""A signal that names a job by its id is for that job: no later one of the same id gets it."""

from __future__ import annotations

import asyncio
from typing import Any

from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin
from tests.waiting import eventually

WAIT = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 0.001
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        w: {type: worker, topic: work}
        h: {type: hook, job: {maps: {by: '{$self.hook.data.by}'}}}
      transitions:
        t1:
          - {to: w, conditions: {match: [{expected: true, actual: {'@pipe': [['{t1.output.data.works}', true], ['{@conditional.equality}']]}}]}}
          - {to: h, conditions: {match: [{expected: false, actual: {'@pipe': [['{t1.output.data.works}', true], ['{@conditional.equality}']]}}]}}
      hooks:
        ok: [{to: h, conditions: {match: [{expected: KEY, actual: '{$self.hook.data.id}'}]}}]
"""
BY_ID, BY_DATA = "'{$job.metadata.jid}'", "'{t1.output.data.order}'"


async def _rows(database: Database, table: str) -> int:
    query = f'select count(*) from "{database.schema}".{table}'
    where = " where dead_lettered_at is not null" if table == "engine_streams" else ""
    return int(await database.fetchval(query + where))


async def _ended(mesh: HotMesh, jid: str) -> bool:
    return await mesh.get_status(jid) == 0


async def _gets_the_next_one(mesh: HotMesh, database: Database, **data: Any) -> None:
    """The next job of the id gets what is said to it, and nothing that was said before."""
    waiting = asyncio.create_task(mesh.pubsub("t", {"id": "x", **data}, timeout=100))
    await eventually(lambda: database.fetchval(f'select count(*) from "{database.schema}".hooks'))
    await mesh.hook("ok", {"id": "x", "by": "bob"})
    assert (await waiting)["data"] == {"by": "bob"}


async def test_a_signal_for_a_job_that_has_ended_is_put_aside(
    begin: Begin, database: Database
) -> None:
    """It is a dead letter that says so, also when the job's id is free already; the next job waits for a signal of its own."""
    mesh = await begin(WAIT.replace("KEY", BY_ID))
    await mesh.hook("ok", {"id": "x", "by": "ann"})  # before the first job of the id: it is early
    assert (await mesh.pubsub("t", {"id": "x"}, timeout=100))["data"] == {"by": "ann"}
    await mesh.hook("ok", {"id": "x", "by": "LATE"})
    await eventually(lambda: _rows(database, "engine_streams"))
    error = await database.fetchval(
        f'select error::text from "{database.schema}".engine_streams where dead_lettered_at is not null'
    )
    assert "is for job 'x', which has ended" in error
    await _gets_the_next_one(mesh, database)


async def test_a_signal_to_a_job_that_never_waits_is_not_kept_for_the_next(
    begin: Begin, database: Database
) -> None:
    """What came while a job ran is for that job, whether it waits in the end or not."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def work(_message: dict[str, Any]) -> None:
        begun.set()
        await go.wait()

    mesh = await begin(WAIT.replace("KEY", BY_ID), work=work)
    await mesh.pub("t", {"id": "x", "works": True})
    await begun.wait()
    await mesh.hook("ok", {"id": "x", "by": "MEANWHILE"})

    await eventually(lambda: _rows(database, "early_signals"))
    go.set()
    await eventually(lambda: _ended(mesh, "x"))
    await _gets_the_next_one(mesh, database)


async def test_a_signal_that_names_no_job_is_for_whoever_comes(begin: Begin) -> None:
    """Where rules compare something else than the job's id, one that comes too early waits for the next job."""
    mesh = await begin(WAIT.replace("KEY", BY_DATA))
    for order in (7, 8):
        await mesh.hook("ok", {"id": order, "by": f"ann {order}"})
        out = await mesh.pubsub("t", {"id": "x", "order": order}, timeout=100)
        assert out["data"] == {"by": f"ann {order}"}
    await mesh.hook("ok", {"id": 9, "by": "ann 9"})  # x has ended, and never waited by 9
    assert (await mesh.pubsub("t", {"id": "x", "order": 9}, timeout=100))["data"] == {"by": "ann 9"}


async def test_a_signal_that_is_handed_over_late_finds_no_later_job(
    begin: Begin, database: Database
) -> None:
    """Sent when the job had ended, and routed when the next one of its id waits already: it is for neither."""
    mesh = await begin(WAIT.replace("KEY", BY_ID))
    await mesh.hook("ok", {"id": "x", "by": "ann"})
    await mesh.pubsub("t", {"id": "x"}, timeout=100)
    await mesh.throttle(throttle=-1, scope="engines")
    await mesh.hook("ok", {"id": "x", "by": "LATE"})
    waiting = asyncio.create_task(mesh.pubsub("t", {"id": "x"}, timeout=100))
    await eventually(lambda: _rows(database, "hooks"))
    await mesh.throttle(throttle=0)
    await eventually(lambda: _rows(database, "engine_streams"))
    await mesh.hook("ok", {"id": "x", "by": "bob"})
    assert (await waiting)["data"] == {"by": "bob"}
