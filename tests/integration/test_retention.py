"""How ended runs leave: by policy, by command, by themselves; in batches, wholly or not at all."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import asyncpg
import pytest

import durable
from durable.client.client import Client
from durable.composition import connect
from durable.engine import retention
from durable.engine.retention import Retention
from durable.errors import ConfigurationError, WorkflowAlreadyStarted, WorkflowNotFound
from durable.postgres.database import Database
from durable.protocol.retention import Pruned, Pruning, RetentionPolicy
from durable.store.members import MemberStore
from durable.store.retention import RetentionStore
from durable.worker.worker import Worker
from tests.waiting import eventually

OUTLIVES = {"job_stats"}  # what was counted stays counted when the job is gone

ENDED = """
    with ended as (
        insert into jobs (run_id, jid, app_id, graph, state, status, revision, request_id, output,
            created_at, finished_at)
        select nextval('ids'), $1 || n, 'q', 'flow', $2, 0, $5, gen_random_uuid(), '1',
            durable_now() - $4::interval, durable_now() - $4::interval
        from generate_series(1, $3::int) n returning run_id)
    insert into history (run_id, revision, kind, number, at, name)
    select run_id, r, 'activity', r, durable_now(), 'step' from ended, generate_series(1, $5::int) r
"""

go = durable.Signal("go")


@durable.activity(retry=durable.RetryPolicy(maximum_attempts=2, initial_interval=0))
async def breaks() -> None:
    """It fails, and leaves two expired rows."""
    raise ValueError("no")


@durable.workflow
async def leaves_much() -> str:
    """Leaves failed attempts and an ended child."""
    await child("quick")
    try:
        await breaks()
    except durable.ActivityFailed:
        return "done"
    return "never"


@durable.workflow
async def child(how: str) -> str:
    """Ends at once, or stays after its parent's end until it is told to go."""
    if how == "quick":
        return how
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await go.receive()
    return how


@durable.workflow
async def parent() -> str:
    """Waits for a child that stays."""
    return await child.options(id="stays")("slow")


@durable.workflow
async def waits() -> None:
    """Waits for a signal."""
    await go.receive()


async def ended(
    direct: asyncpg.Connection, count: int, *, state: str = "completed", ago: str = "1 hour",
    facts: int = 2, prefix: str = "old-",
) -> None:  # fmt: skip
    """So many runs that ended so long ago."""
    text = ENDED.replace("durable_now()", "now()").replace("$4::interval", f"interval '{ago}'")
    text = text.replace("$5::int", str(facts)).replace("$5", str(facts))
    await direct.execute(text.replace("$3::int", str(count)).replace("$1", f"'{prefix}'")
                         .replace("$2", f"'{state}'"))  # fmt: skip


async def jids(direct: asyncpg.Connection) -> set[str]:
    """The ids of the runs that are there."""
    return {row["jid"] for row in await direct.fetch("select jid from jobs")}


async def test_a_pruned_run_leaves_nothing(client: Client, direct: asyncpg.Connection) -> None:
    """No table with a run's number has a row of a run that was pruned, whatever it left behind."""
    async with Worker(client, workflows=[leaves_much, child, waits], activities=[breaks]):
        handle = await client.start(leaves_much(), id="much")
        open_run = await client.start(waits(), id="open")
        await handle.result(timeout=60)
        run_id = await handle.run_id()
        assert await direct.fetchval(
            "select count(*) from worker_streams where run_id = $1", run_id
        )
        await direct.execute(
            """insert into engine_streams (stream_name, workflow_name, run_id, msg_type, created_at,
                visible_at, expired_at)
            values ('default', 'leaves_much', $1, 'signal', now(), now(), now())""",
            run_id,
        )
        assert await client.prune(older_than=0) == Pruned(runs=2)
        tables = await direct.fetch(
            """select table_name as name from information_schema.columns
            where table_schema = $1 and column_name = 'run_id'""",
            client.namespace,
        )
        assert {"jobs", "history", "worker_streams"} <= {t["name"] for t in tables}
        for name in {t["name"] for t in tables} - OUTLIVES:
            left = await direct.fetch(
                f"select run_id from {name} where run_id <> $1", await open_run.run_id()
            )
            assert left == [], name
        await open_run.signal(go)
        await open_run.result(timeout=60)


async def test_an_id_is_free_when_its_run_is_pruned(client: Client) -> None:
    """`if_ended="raise"` refuses the id of an ended run, until that is pruned."""
    async with Worker(client, workflows=[child]):
        first = await client.start(child("quick"), id="again")
        await first.result(timeout=60)
        with pytest.raises(WorkflowAlreadyStarted):
            await client.start(child("quick"), id="again", if_ended="raise")
        assert (await client.prune(older_than=0)).runs == 1
        second = await client.start(child("quick"), id="again", if_ended="raise")
        assert await second.result(timeout=60) == "quick"
        assert await first.run_id() != await second.run_id()


async def test_an_id_can_be_taken_while_its_old_run_is_being_pruned(
    client: Client, database: Database, direct: asyncpg.Connection
) -> None:
    """A start does not wait for a pruning, and neither harms the other."""
    await ended(direct, 1, prefix="id-")
    store, runs = RetentionStore(database.schema), []
    async with database.connection() as connection, connection.transaction():
        runs = await store.runs(connection, Pruning(0), 10, 10)
        assert await store.forget(connection, runs) == 1
        handle = await asyncio.wait_for(client.start(child("quick"), id="id-1"), 60)
        attached = await client.start(child("quick"), id="id-1", if_running="attach")
    assert await attached.run_id() == await handle.run_id()
    assert [row["run_id"] for row in await direct.fetch("select run_id from jobs")] == [
        await handle.run_id()
    ]
    async with Worker(client, workflows=[child]):
        assert await handle.result(timeout=60) == "quick"


async def test_a_child_outlives_its_pruned_parent(
    client: Client, direct: asyncpg.Connection
) -> None:
    """A parent that was terminated is pruned; its child, still cleaning up, ends as it should."""
    async with Worker(client, workflows=[parent, child]):
        handle = await client.start(parent(), id="parent")
        await eventually(lambda: direct.fetchval("select 1 from jobs where jid = 'stays'"))
        await handle.terminate()
        stays = client.handle("stays")
        await eventually(
            lambda: direct.fetchval(
                "select 1 from history where kind = 'cancel' and run_id ="
                " (select run_id from jobs where jid = 'stays')"
            )
        )
        assert await client.prune(older_than=0) == Pruned(runs=1)
        assert await jids(direct) == {"stays"}
        await stays.signal(go)
        assert await stays.result(timeout=60) == "slow"


async def test_pruned_runs_are_told_from_those_that_never_were(
    client: Client, direct: asyncpg.Connection
) -> None:
    """A handle of a pruned run says that it is gone; nobody who asks for its result waits on."""
    await ended(direct, 1, prefix="run-")
    handle = client.handle("run-1")
    await handle.run_id()
    await client.prune(older_than=0)
    for ask in (handle.result, handle.status, handle.history, handle.describe):
        with pytest.raises(WorkflowNotFound, match="gone: it ended, and was pruned"):
            await asyncio.wait_for(ask(), 60)
    with pytest.raises(WorkflowNotFound, match="or it ended and was pruned"):
        await client.handle("run-1").result()


async def test_who_waits_for_a_run_that_ends_and_is_pruned_at_once_hears_of_it(
    client: Client, direct: asyncpg.Connection
) -> None:
    """A waiter whose notification is lost, and whose run is gone before it looks, is not left."""
    handle = await client.start(waits(), id="w")
    waiting = asyncio.create_task(handle.result())
    await eventually(lambda: direct.fetchval("select 1 from jobs where cardinality(reply_to) > 0"))
    async with direct.transaction():
        await direct.execute("delete from jobs")
    with pytest.raises(WorkflowNotFound):
        await asyncio.wait_for(waiting, 60)


async def test_policies_say_what_goes(dsn: str, namespace: str) -> None:
    """By outcome; the stored one holds for who names none; None keeps for ever."""
    async with await connect(dsn, namespace=namespace, migrate=True) as plain:
        direct = await asyncpg.connect(dsn, server_settings={"search_path": namespace})
        for state in ("completed", "failed", "cancelled", "terminated"):
            for days in (2, 40, 100):
                await ended(direct, 1, state=state, ago=f"{days} days", prefix=f"{state}-{days}-")
        assert await plain.prune(dry_run=True) == Pruned(runs=5)  # 2 after 30 days, 3 after 90
        policy = RetentionPolicy(completed="1 day", failed=None)
        async with await connect(dsn, namespace=namespace, retention=policy, migrate=True):
            assert await plain.prune(dry_run=True) == Pruned(runs=3)
        assert await plain.prune() == Pruned(runs=3)
        assert all("completed" not in jid for jid in await jids(direct))
        assert await plain.prune(older_than="50 days", keep=["failed"]) == Pruned()
        assert await plain.prune(older_than="50 days") == Pruned(runs=3)
        async with await connect(
            dsn, namespace=namespace, retention="10 days", migrate=True
        ) as other:
            assert await other.prune() == Pruned(runs=3)
        assert len(await jids(direct)) == 3
        await direct.close()


@pytest.mark.parametrize("policy", ["59 s", RetentionPolicy(None, 1), "soon", -1])
async def test_what_makes_no_sense_is_refused(policy: Any) -> None:
    """Too short for anybody to read a result, or no duration: said before anything is connected."""
    with pytest.raises(ConfigurationError):
        await connect("postgresql://localhost:1/none", retention=policy)


async def test_what_cannot_be_kept_is_refused(client: Client) -> None:
    """Only outcomes can be kept, and a hundred years are enough."""
    with pytest.raises(ConfigurationError, match="keep"):
        await client.prune(keep=["suspended"])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="hundred years"):
        await client.prune(older_than="40000 days")
    with pytest.raises(ConfigurationError, match="hundred years"):
        RetentionPolicy(completed="40000 days")


async def test_defaults_are_the_same_in_the_class_and_in_the_database(database: Database) -> None:
    """What `RetentionPolicy()` says is what holds when nothing was ever stored."""
    rows = await database.fetch(
        f"select completed, seconds from \"{database.schema}\".retention_v1(null, '{{}}', null)"
    )
    assert {r["completed"]: r["seconds"] for r in rows} == dict(
        zip((True, False), RetentionPolicy().in_seconds(), strict=True)
    )


async def test_expired_messages_leave_by_themselves(
    client: Client, direct: asyncpg.Connection
) -> None:
    """Failed attempts of an open run go when they are old, unless told otherwise; the run stays."""
    handle = await client.start(waits(), id="open")
    await direct.execute(
        """insert into worker_streams (stream_name, workflow_name, run_id, msg_type, created_at,
            visible_at, expired_at)
        select 'q', 'waits', $1, 'activity', now(), now(), now() - make_interval(days => d)
        from unnest(array[1, 100]) d""",
        await handle.run_id(),
    )
    await direct.execute(
        """insert into early_signals (signal_id, app_id, topic, rule, key, message, created_at)
        values (1, 'a', 't', 'r', 'k', '{}', now() - interval '100 days'),
               (1, 'a', 't', 'r2', 'k', '{}', now() - interval '100 days'),
               (2, 'a', 't', 'r', 'k', '{}', now())"""
    )
    assert await client.prune(streams=False) == Pruned()
    assert await client.prune(keep=["failed"]) == Pruned()
    expected = Pruned(messages=1, signals=1)
    assert await client.prune(dry_run=True) == expected
    assert await client.prune() == expected
    assert await client.prune(older_than=0) == Pruned(messages=1, signals=1)
    assert await handle.status() == "running"


async def test_two_prune_at_once(client: Client, direct: asyncpg.Connection) -> None:
    """They share the work: nothing twice, nothing left, nobody waits for the other."""
    await ended(direct, 4000)
    one, two = await asyncio.gather(client.prune(older_than=60), client.prune(older_than=60))
    assert one + two == Pruned(runs=4000)
    assert await direct.fetchval("select count(*) from history") == 0


async def test_a_pruning_leaves_what_another_has_locked(
    client: Client, database: Database, direct: asyncpg.Connection
) -> None:
    """It goes on with other runs instead of waiting."""
    await ended(direct, 600)
    store = RetentionStore(database.schema)
    async with database.connection() as connection, connection.transaction():
        assert len(await store.runs(connection, Pruning(60), 500, 10**6)) == 500
        assert await asyncio.wait_for(client.prune(older_than=60), 60) == Pruned(runs=100)
    assert await client.prune(older_than=60) == Pruned(runs=500)


async def test_a_hundred_thousand_runs_go_in_bounded_batches(
    client: Client, direct: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most 500 runs a transaction, and two statements for each."""
    await ended(direct, 100_000)
    statements = 0
    real = asyncpg.Connection.fetch

    async def fetch(self: asyncpg.Connection, query: str, *args: Any, **more: Any) -> Any:
        nonlocal statements
        statements += "retention_v1" in query
        return await real(self, query, *args, **more)

    monkeypatch.setattr(asyncpg.Connection, "fetch", fetch)
    sums: list[int] = []
    assert await client.prune(older_than=60, tell=lambda p: sums.append(p.runs)) == Pruned(
        runs=100_000
    )
    assert sums == list(range(500, 100_001, 500))
    assert statements <= 200 + 4
    assert await direct.fetchval("select count(*) from history") == 0


async def test_long_histories_make_small_batches(
    client: Client, direct: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch ends with the run by which it has enough facts."""
    monkeypatch.setattr(retention, "FACTS", 100)
    await ended(direct, 10, facts=40)
    sums: list[int] = []
    await client.prune(older_than=60, tell=lambda p: sums.append(p.runs))
    assert sums == [3, 6, 9, 10]


async def test_once_a_minute_the_sweeper_prunes(
    client: Client, database: Database, direct: asyncpg.Connection
) -> None:
    """A worker deletes what is over without being asked, and nobody looks again within a minute."""
    await ended(direct, 700, ago="31 days")
    await ended(direct, 3, ago="29 days", prefix="kept-")
    async with Worker(client, workflows=[waits]):
        await direct.execute("update sweeps set pruned_at = now() - interval '50 s'")
        members = MemberStore(database.schema)
        assert not (await members.sweep(direct, 0)).prunes
        await direct.execute("update sweeps set pruned_at = now() - interval '61 s'")
        await eventually(lambda: _none_left(direct))
        await direct.execute("update sweeps set swept_at = '-infinity'")
        assert not (await members.sweep(direct, 0)).prunes
    assert len(await jids(direct)) == 3


async def _none_left(direct: asyncpg.Connection) -> bool:
    return not await direct.fetchval("select count(*) from jobs where jid like 'old-%'")


async def test_one_sweep_in_a_minute_prunes(
    database: Database, direct: asyncpg.Connection, client: Client
) -> None:
    """However many sweep: the statement that elects who looks elects who prunes."""
    assert client.namespace == database.schema
    members = MemberStore(database.schema)
    await direct.execute("update sweeps set pruned_at = '-infinity'")
    prunes = []
    for _ in range(3):
        await direct.execute("update sweeps set swept_at = '-infinity'")
        prunes.append((await members.sweep(direct, 0)).prunes)
    assert prunes == [True, False, False]


async def _said(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    return words in caplog.text


PRUNES = """
import asyncio, sys, durable
async def main():
    async with await durable.connect(sys.argv[1], namespace=sys.argv[2], migrate=True) as client:
        print("READY", flush=True)
        await client.prune(older_than=60)
asyncio.run(main())
"""


async def test_killed_in_the_middle_of_a_batch(client: Client, direct: asyncpg.Connection) -> None:
    """A process dies while it deletes: each run is wholly there or gone; the next goes on."""
    await ended(direct, 1200)
    last = await direct.fetchval("select run_id from jobs order by finished_at, run_id offset 700")
    holder = await asyncpg.connect(client.dsn, server_settings={"search_path": client.namespace})
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("select from history where run_id = $1 for update", last)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PRUNES, client.dsn, client.namespace,
        stdout=asyncio.subprocess.PIPE, env={**os.environ},
    )  # fmt: skip
    await eventually(
        lambda: direct.fetchval(
            "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like $1",
            f'%"{client.namespace}".history%',
        )
    )
    process.kill()
    await process.wait()
    await transaction.rollback()
    await holder.close()
    left = await eventually(lambda: _whole(direct))
    assert left == 700
    assert await client.prune(older_than=60) == Pruned(runs=700)


async def _whole(direct: asyncpg.Connection) -> int:
    """How many runs there are, once the dead process's transaction is over."""
    if await direct.fetchval(
        "select 1 from pg_stat_activity where state <> 'idle' and pid <> pg_backend_pid()"
        " and query like '%delete from%' || current_schema() || '%'"
    ):
        return 0
    ((runs, facts, owners),) = await direct.fetch(
        """select (select count(*) from jobs), (select count(*) from history),
            (select count(distinct h.run_id) from history h join jobs j using (run_id))"""
    )
    assert facts == 2 * runs
    assert owners == runs
    count: int = runs
    return count


async def test_pruning_goes_on_after_the_database_refused(
    client: Client, database: Database, direct: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """The looks of the background never break a worker: it says what is wrong, and tries again."""
    janitor = retention.Janitor(Retention(database))
    await direct.execute("alter table jobs rename to hidden")
    janitor.due()
    await eventually(lambda: _said(caplog, "pruned when the database lets us"))
    await direct.execute("alter table hidden rename to jobs")
    await ended(direct, 1, ago="31 days")
    janitor.due()
    await eventually(lambda: _none_left(direct))
    await janitor.close()
    assert client.namespace == database.schema
