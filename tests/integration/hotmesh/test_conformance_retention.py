# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""When ids are free again, and when ended jobs leave the tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from durable.engine import retention
from durable.engine.retention import Retention
from durable.errors import DuplicateJob, JobFailed, JobNotFound
from durable.postgres.database import Database
from durable.protocol.retention import Pruned, Pruning, RetentionPolicy
from tests.integration.hotmesh.conftest import Begin, echo
from tests.waiting import eventually

EXPIRING = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: '{t1.output.data.expire}'
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}, output: {maps: {seen: true}}}
        w1: {type: worker, topic: work, input: {maps: {fail: '{t1.output.data.fail}'}}, retry: {maximumAttempts: 2, initialInterval: 0, maximumInterval: 0}}
        h1: {type: hook, sleep: '{t1.output.data.sleep}', job: {maps: {done: true}}}
      transitions: {t1: [{to: w1}], w1: [{to: h1}]}
"""

FAMILY = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: parent
      expire: 0.01
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        a1: {type: await, topic: child, input: {maps: {id: c}}}
      transitions: {t1: [{to: a1}]}
    - subscribes: child
      expire: 100
      activities:
        t2: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        w2: {type: hook, job: {maps: {done: true}}}
      transitions: {t2: [{to: w2}]}
      hooks:
        go: [{to: w2, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}]
"""

TABLES = [
    "jobs",
    "activities",
    "hooks",
    "engine_streams",
    "worker_streams",
    "emissions",
]


async def rows(database: Database) -> Mapping[str, int]:
    """How many rows each table has."""
    return {
        t: await database.fetchval(f'select count(*) from "{database.schema}".{t}') for t in TABLES
    }


async def test_an_id_is_free_when_its_job_has_expired(begin: Begin) -> None:
    """C8: after the expiry that the input gave, the id can be used again; before, it is taken."""
    mesh = await begin(EXPIRING, work=echo)
    await mesh.pubsub("t", {"id": "taken", "expire": 60}, timeout=100)
    with pytest.raises(DuplicateJob):
        await mesh.pub("t", {"id": "taken"})
    await mesh.pubsub("t", {"id": "x", "expire": 0.4}, timeout=100)

    async def again() -> bool:
        try:
            await mesh.pubsub("t", {"id": "x", "expire": 0}, timeout=100)
        except DuplicateJob:
            return False
        return True

    assert await eventually(again)
    with pytest.raises(DuplicateJob):  # 0: it keeps its id for ever
        await mesh.pub("t", {"id": "x"})


async def test_expired_jobs_leave_with_all_they_have(begin: Begin, database: Database) -> None:
    """O8: jobs that ended well, failed, or were interrupted while they slept leave nothing behind."""

    async def work(message: dict[str, Any]) -> None:
        if message["data"].get("fail"):
            raise ValueError("no")

    mesh = await begin(EXPIRING, work=work)
    await mesh.pubsub("t", {"id": "a", "expire": 0.01}, timeout=100)
    with pytest.raises(JobFailed):
        await mesh.pubsub("t", {"id": "b", "expire": 0.01, "fail": True}, timeout=100)
    await mesh.pub("t", {"id": "c", "expire": 0.01, "sleep": 100})
    await eventually(lambda: _sleeps(database))
    await mesh.interrupt("t", "c")
    before = await rows(database)
    assert (before["jobs"], before["worker_streams"]) == (3, 2)
    pruned = Retention(database)

    async def gone() -> bool:
        await pruned.prune(Pruning(0, app_id="app"))
        return not any((await rows(database)).values())

    assert await eventually(gone)
    with pytest.raises(JobNotFound):
        await mesh.get_status("a")


async def _sleeps(database: Database) -> bool:
    return bool(
        await database.fetchval(
            f"select count(*) from \"{database.schema}\".engine_streams where msg_type = 'timehook'"
        )
    )


async def _waits(database: Database) -> bool:
    return bool(await database.fetchval(f'select count(*) from "{database.schema}".hooks'))


async def test_what_runs_or_is_kept_stays(begin: Begin, database: Database) -> None:
    """Running jobs, jobs kept for ever, and jobs that expired too lately are not pruned."""
    mesh = await begin(EXPIRING, work=echo)
    await mesh.pub("t", {"id": "runs", "expire": 0.01, "sleep": 100})
    await mesh.pubsub("t", {"id": "kept", "expire": -1}, timeout=100)
    await mesh.pubsub("t", {"id": "lately", "expire": 0.01}, timeout=100)
    assert await Retention(database).prune(Pruning(60, app_id="app")) == Pruned()
    assert await Retention(database).prune(Pruning(0, app_id="other")) == Pruned()
    assert (await rows(database))["jobs"] == 3


async def test_pruning_goes_in_batches(
    begin: Begin, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More jobs than a batch holds are deleted batch by batch, all of them."""
    monkeypatch.setattr(retention, "BATCH", 3)
    mesh = await begin(EXPIRING, work=echo)
    for number in range(7):
        await mesh.pubsub("t", {"id": f"j{number}", "expire": 0.001}, timeout=100)
    total = 0

    async def all_gone() -> bool:
        nonlocal total
        total += (await Retention(database).prune(Pruning(0, app_id="app"))).jobs
        return total == 7

    assert await eventually(all_gone)


async def test_an_engine_prunes_by_itself(begin: Begin, database: Database) -> None:
    """Nobody has to call anything: once a minute the engine deletes what expired `retain` ago."""
    mesh = await begin(EXPIRING, work=echo, retain=0)
    await mesh.pubsub("t", {"id": "a", "expire": 0.01}, timeout=100)
    await database.fetch(f"update \"{database.schema}\".sweeps set pruned_at = '-infinity'")

    async def empty() -> bool:
        return not any((await rows(database)).values())

    assert await eventually(empty)


async def test_retention_by_outcome(begin: Begin, database: Database) -> None:
    """`retain` is stored for the app: jobs that failed stay longer than those that did not."""

    async def work(message: dict[str, Any]) -> None:
        if message["data"].get("fail"):
            raise ValueError("no")

    mesh = await begin(EXPIRING, work=work, retain=RetentionPolicy(0, None))
    await mesh.pubsub("t", {"id": "good", "expire": 0.01}, timeout=100)
    with pytest.raises(JobFailed):
        await mesh.pubsub("t", {"id": "bad", "expire": 0.01, "fail": True}, timeout=100)

    async def expired() -> bool:
        return (await mesh.prune(older_than=0, dry_run=True)).jobs == 2

    assert await eventually(expired)
    assert (await mesh.prune(keep=["completed"])).jobs == 0
    assert await Retention(database).prune(Pruning()) == Pruned(jobs=1)
    assert await mesh.get_status("bad") != 1
    with pytest.raises(JobNotFound):
        await mesh.get_status("good")
    assert (await mesh.prune(older_than=0)).jobs == 1


async def test_a_child_outlives_its_pruned_parent(begin: Begin, database: Database) -> None:
    """A parent is interrupted and pruned while its child waits: the child ends as it should."""
    mesh = await begin(FAMILY)
    await mesh.pub("parent", {"id": "p"})
    await eventually(lambda: _waits(database))
    await mesh.interrupt("parent", "p", throw=False)

    async def pruned() -> bool:
        return (await mesh.prune(older_than=0)).jobs == 1

    assert await eventually(pruned)
    with pytest.raises(JobNotFound):
        await mesh.get_status("p")
    assert await mesh.get_status("c") == 1
    await mesh.hook("go", {"id": "c"})

    async def ended() -> bool:
        return await mesh.get_status("c") == 0

    assert await eventually(ended)
    assert (await mesh.get_state("child", "c"))["data"] == {"done": True}
    dead = await database.fetchval(
        f'select count(*) from "{database.schema}".engine_streams where dead_lettered_at is not null'
    )
    assert dead == 0
