"""Sweeps: one statement a second on behalf of all members."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest_asyncio

from durable.postgres.database import Database
from durable.protocol.ids import new_request
from durable.store.activities import ActivityStream
from durable.store.jobs import JobStore, Start
from durable.store.members import MemberStore, lock_class
from durable.store.runs import RunStream

ME = 1_000_001


@pytest_asyncio.fixture
async def session(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A member's own connection."""
    connection = await asyncpg.connect(
        database.dsn, server_settings={"search_path": database.schema}
    )
    yield connection
    await connection.close()


async def _start(database: Database, queue: str, priority: int = 0) -> int:
    (started,) = await JobStore(database).start(
        [Start(new_request(), f"{queue}-{priority}", queue, "flow", "{}", priority, "allow", None)]
    )
    assert started.run_id is not None
    return started.run_id


async def _again(session: asyncpg.Connection) -> None:
    """Let the last sweep be long ago."""
    await session.execute("update sweeps set swept_at = swept_at - interval '1 minute'")


async def test_one_of_all_members_sweeps(database: Database, session: asyncpg.Connection) -> None:
    """Who comes first learns what there is to do, the next only how many they are."""
    members = MemberStore(database.schema)
    _, me, _, _ = [await members.join(session, n, "here", 1) for n in ("q", "q", "other", "q")]
    await _start(database, "q")
    first = await members.sweep(session, me)
    assert (first.members, first.place, first.ours, first.due) == (
        4,
        (1, 3),
        True,
        (("q", "turn"),),
    )
    second = await members.sweep(session, me)
    assert (second.members, second.place, second.ours) == (4, (1, 3), False)
    assert (second.due, second.dead) == ((), ())
    await _again(session)
    assert (await members.sweep(session, me)).ours
    await members.reap(session, me)
    assert (await members.sweep(session, me)).place == (0, 1)


async def test_a_sweep_finds_each_queue_that_holds_something_due(
    database: Database, session: asyncpg.Connection
) -> None:
    """Whatever its priority or kind; not what is held, has expired or is due much later."""
    members, runs = MemberStore(database.schema), RunStream(database)
    me = await members.join(session, "q", "here", 1)
    assert await members.lock(session, me)
    due = {queue: await _start(database, queue) for queue in ("a", "held", "far", "soon", "gone")}
    await _start(database, "a", priority=5)
    await _start(database, "low", priority=-3)
    assert len(await runs.claim(ME, "held", ["flow"], 9)) == 1
    for queue, moved in (("far", "1 h"), ("soon", "1 s")):
        await session.execute(
            "update worker_streams set visible_at = visible_at + $2::text::interval where id = $1",
            due[queue], moved,
        )  # fmt: skip
    await session.execute("update worker_streams set expired_at = now() where id = $1", due["gone"])
    await session.execute("update worker_streams set msg_type = 'activity' where id = $1", due["a"])
    sweep = await members.sweep(session, me)
    assert sorted(sweep.due) == [
        ("a", "activity"),
        ("a", "turn"),
        ("low", "turn"),
        ("soon", "turn"),
    ]
    assert sweep.dead == (ME,)  # it holds a run, and is no member


async def test_who_comes_later_takes_only_what_has_been_waiting(
    database: Database, session: asyncpg.Connection
) -> None:
    """Of two runs and two attempts, those that have been due for a minute; the rest is left."""
    runs, activities = RunStream(database), ActivityStream(database)
    new, old, new_step, old_step = [await _start(database, "q", n) for n in range(4)]
    await session.execute(
        "update worker_streams set msg_type = 'activity', topic = 'act', dad = '1', aid = 'act'"
        " where id = any($1::bigint[])",
        [new_step, old_step],
    )
    await session.execute(
        "update worker_streams set visible_at = visible_at - interval '1 minute'"
        " where id = any($1::bigint[])",
        [old, old_step],
    )

    async def turns(waiting: float) -> list[int | None]:
        return [c.run_id for c in await runs.claim(ME, "q", ["flow"], 9, waiting)]

    async def attempts(waiting: float) -> list[int | None]:
        return [a.id for a in await activities.claim(ME, "q", ["act"], 9, waiting)]

    for claim, waited, came in ((turns, old, new), (attempts, old_step, new_step)):
        assert await claim(30) == [waited]
        assert await claim(30) == []
        assert await claim(0) == [came]


async def test_a_blamed_run_comes_after_those_that_it_held_up(
    database: Database, session: asyncpg.Connection
) -> None:
    """Both it and its attempts wait 1 s, then twice that each time; what they held up is due."""
    members, runs, activities = (
        MemberStore(database.schema),
        RunStream(database),
        ActivityStream(database),
    )
    guilty, innocent, step = [await _start(database, "q", n) for n in range(3)]
    await session.execute(
        "update worker_streams set msg_type = 'activity', topic = 'act', dad = '1', aid = 'act',"
        " run_id = $2 where id = $1",
        step, guilty,
    )  # fmt: skip
    due = "update worker_streams set visible_at = now() where expired_at is null"
    moments = "select array(select visible_at from worker_streams where id = any($1) order by id)"
    for waits in (timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=4)):
        me = await members.join(session, "q", "here", 1)
        await session.execute(due)
        assert len(await runs.claim(me, "q", ["flow"], 9)) == 2
        assert len(await activities.claim(me, "q", ["act"], 9)) == 1
        before = await session.fetchval("select clock_timestamp()")
        await members.blame(session, me, guilty, '{"type": "Spun", "message": "it spun"}')
        await members.reap(session, me)
        found = await session.fetchval(moments, [guilty, innocent, step])
        after = await session.fetchval("select clock_timestamp()")
        assert before <= found[1] <= after
        assert all(before + waits <= moment <= after + waits for moment in (found[0], found[2]))
    counted = "select array(select losses from worker_streams where id = any($1) order by id)"
    assert await session.fetchval(counted, [guilty, innocent, step]) == [3, 0, 3]


async def test_most_members_are_not_dead_because_they_are_late(
    database: Database, session: asyncpg.Connection
) -> None:
    """A locked member whose beat is a minute old is reaped; not if more than half are as late."""
    await session.execute(  # members of a server that has just started are given ten seconds
        "select pg_sleep_until(pg_postmaster_start_time() + interval '10.1 s')"
    )
    members = MemberStore(database.schema)
    me, *others = [await members.join(session, "q", "here", 1) for _ in range(5)]
    for member in (me, *others):
        assert await members.lock(session, member)

    async def dead(late: int) -> set[int]:
        await session.execute(
            "update members set beat_at = clock_timestamp() - interval '61 s'"
            " where member_id = any($1::bigint[])",
            others[:late],
        )
        await session.execute(
            "update sweeps set since = clock_timestamp() - interval '1 hour',"
            " swept_at = clock_timestamp() - interval '2 s'"
        )
        return set((await members.sweep(session, me)).dead)

    assert await dead(2) == set(others[:2])
    assert await dead(3) == set()
    await session.fetch(
        "select pg_advisory_unlock($1::int, (1 + $2::bigint % 2147483646)::int)",
        lock_class(database.schema), others[0],
    )  # fmt: skip
    assert await dead(3) == {others[0]}  # its lock is free: there is no doubt
