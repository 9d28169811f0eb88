# ruff: noqa: E501 - what tests prove, and statements, are wider than code
"""Throttles: what really consumes obeys them, at once; nothing claimed is stranded."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from durable.errors import ConfigurationError
from durable.hotmesh.mesh import HotMesh
from durable.hotmesh.quorum.commands import Throttle, throttle_of
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin, echo
from tests.waiting import eventually

ONE = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      publishes: t.done
      expire: 100
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        w1: {type: worker, topic: work, input: {maps: {id: '{t1.output.data.id}'}}}
        w2: {type: worker, topic: more}
      transitions: {t1: [{to: w1}], w1: [{to: w2}]}
"""
SHORT = ONE.replace(", w1: [{to: w2}]", "").replace("        w2: {type: worker, topic: more}\n", "")
BACKLOG = 10_000


async def _jobs(mesh: HotMesh, count: int, first: int = 0) -> None:
    for at in range(first, first + count, 50):
        ids = range(at, min(at + 50, first + count))
        await asyncio.gather(*(mesh.pub("t", {"id": f"j{i}"}) for i in ids))


async def _left(database: Database) -> int:
    left = await database.fetchval(
        f"""select (select count(*) from "{database.schema}".worker_streams where expired_at is null)
        + (select count(*) from "{database.schema}".engine_streams where expired_at is null)"""
    )
    return int(left)


async def _claimed(database: Database) -> int:
    return int(
        await database.fetchval(
            f'select count(*) from "{database.schema}".worker_streams where reserved_by is not null'
        )
    )


async def _backlog(database: Database) -> None:
    """Copies the one message of the one job, which waits for topic "work"."""
    row = await database.fetchrow(f'select * from "{database.schema}".worker_streams')
    assert row is not None
    await database.fetch(
        f"""with j as (
            insert into "{database.schema}".jobs (run_id, jid, scope, app_id, graph, graph_version,
                input, output, metadata, created_at)
            select nextval('"{database.schema}".ids'), 'b' || g, scope, app_id, graph, graph_version,
                input, output, metadata, created_at
            from "{database.schema}".jobs, generate_series(1, {BACKLOG} - 1) g
            returning run_id, jid
        ), a as (
            insert into "{database.schema}".activities
                (run_id, dad, aid, open, replies, code, output, opened_at, settled_at)
            select j.run_id, a.dad, a.aid, a.open, a.replies, a.code, a.output, a.opened_at, a.settled_at
            from j, "{database.schema}".activities a
        )
        insert into "{database.schema}".worker_streams (stream_name, workflow_name, jid, run_id, aid,
            dad, msg_type, topic, message, created_at, visible_at)
        select w.stream_name, w.workflow_name, j.jid, j.run_id, w.aid, w.dad, w.msg_type, w.topic,
            w.message, w.created_at, w.visible_at
        from j, "{database.schema}".worker_streams w"""
    )


async def test_a_pause_in_a_backlog_holds_everything_and_strands_nothing(
    begin: Begin, database: Database
) -> None:
    """10,000 messages: nothing moves once the pause has returned, all after the resume."""
    mesh = await begin(SHORT)
    await mesh.pub("t", {"id": "b0"})
    await _backlog(database)
    calls: list[float] = []

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        calls.append(time.monotonic())
        return {"data": message["data"]}

    other = await begin(None, work=work)

    async def busy() -> bool:
        return len(calls) > 200

    await eventually(busy, within=150)
    assert await other.throttle(throttle=-1)
    paused, before = time.monotonic(), len(calls)
    await eventually(lambda: _nothing_runs(database))
    left = await _left(database)
    assert left > BACKLOG / 2, "there was nothing left to hold up"
    await eventually(lambda: _passed(paused, 0.5))
    assert len(calls) == before
    assert await _left(database) == left
    assert await mesh.throttle(throttle=0)
    resumed = time.monotonic()
    await eventually(lambda: _done(database), within=120)
    print(f"{left} messages in {time.monotonic() - resumed:.1f} s after the resume")  # noqa: T201
    assert len(calls) == BACKLOG
    assert await database.fetchval(
        f"select count(*) = {BACKLOG} from \"{database.schema}\".jobs where state = 'completed'"
    )


async def _passed(since: float, seconds: float) -> bool:
    return time.monotonic() - since > seconds


async def _nothing_runs(database: Database) -> bool:
    return await _claimed(database) == 0


async def _done(database: Database) -> bool:
    return await _left(database) == 0


@pytest.mark.parametrize(
    ("options", "runs", "held"),
    [
        ({"topic": "work"}, [], "work"),
        ({"topic": "more"}, ["work"], "more"),
        ({"scope": "workers"}, [], "work"),
        ({"scope": "engines"}, ["work"], None),
        ({}, [], "work"),
    ],
)
async def test_a_pause_holds_those_it_names(
    begin: Begin,
    database: Database,
    options: Mapping[str, Any],
    runs: list[str],
    held: str | None,
) -> None:
    """Per topic, workers, engines or all; the rest goes on; the resume lets the job end."""
    ran: list[str] = []

    async def work(_message: dict[str, Any]) -> None:
        ran.append("work")

    async def more(_message: dict[str, Any]) -> None:
        ran.append("more")

    mesh = await begin(ONE, work=work, more=more)
    assert await mesh.throttle({"throttle": -1, **options})
    await mesh.pub("t", {"id": "x"})
    where = "engine_streams" if held is None else "worker_streams"

    async def waits() -> bool:
        rows = await database.fetch(f'select topic from "{database.schema}".{where}')
        return [r["topic"] for r in rows] == [held or "work"] and ran == runs

    await eventually(waits)
    started = time.monotonic()
    await eventually(lambda: _passed(started, 0.3))
    assert await waits()
    assert await mesh.throttle({"throttle": 0, **options})
    await eventually(lambda: _ended(mesh))
    assert ran == ["work", "more"]


async def _ended(mesh: HotMesh) -> bool:
    return await mesh.get_status("x") == 0


async def test_one_consumer_of_several_is_paused(begin: Begin) -> None:
    """By its guid, as roll call names it: the other worker of the topic does all the work."""
    who: list[str] = []

    async def first(_message: dict[str, Any]) -> None:
        who.append("first")

    async def second(_message: dict[str, Any]) -> None:
        who.append("second")

    mesh = await begin(ONE, work=first, more=echo)
    guid = next(p["engine_id"] for p in await mesh.roll_call() if p.get("worker_topic") == "work")
    await begin(None, work=second)
    assert await mesh.throttle(throttle=-1, guid=guid)
    await _jobs(mesh, 20)

    async def all_done() -> bool:
        return len(who) == 20

    await eventually(all_done)
    assert set(who) == {"second"}
    with pytest.raises(ConfigurationError, match="has the guid 'nobody'"):
        await mesh.throttle(throttle=-1, guid="nobody")


async def test_a_topic_that_nothing_has_is_refused_with_those_known(begin: Begin) -> None:
    """A misspelt topic would pause nothing; a graph's can be paused before its first worker starts."""
    mesh = await begin(ONE)
    with pytest.raises(ConfigurationError, match="has the topic 'wrok'; known: 'more', 'work'"):
        await mesh.throttle(throttle=-1, topic="wrok")
    assert await mesh.throttle(throttle=-1, topic="work")
    assert await mesh.throttle(throttle=0, topic="work")
    await mesh.deploy(
        ONE.replace("'1'", "'2'").replace("topic: more", "topic: '{t1.output.data.to}'")
    )
    assert await mesh.throttle(throttle=-1, topic="computed")


async def test_a_topic_served_without_a_graph_is_known(begin: Begin) -> None:
    """A worker that takes part makes its topic known, and the throttle set for it does."""
    mesh = await begin(None, work=echo)
    assert await mesh.throttle(throttle=-1, topic="work")
    with pytest.raises(ConfigurationError, match="known: 'work'"):
        await mesh.throttle(throttle=-1, topic="more")


async def test_a_delay_lies_between_claims(begin: Begin) -> None:
    """With 100 ms, messages of a topic are taken 100 ms apart; 0 lets the rest go at once."""
    calls: list[float] = []

    async def work(_message: dict[str, Any]) -> None:
        calls.append(time.monotonic())

    mesh = await begin(ONE, work=work, more=echo)
    await mesh.throttle(throttle=100, topic="work")
    began = time.monotonic()
    await _jobs(mesh, 100)

    async def called(count: int) -> bool:
        return len(calls) >= count

    await eventually(lambda: called(6))
    # A busy machine may begin a call late, so that the next one seems to follow it too soon.
    assert all(at - began > 0.09 * n for n, at in enumerate(calls[:6]))
    await mesh.throttle(throttle=0)
    eased = time.monotonic()
    await eventually(lambda: called(100))
    assert time.monotonic() - eased < 5, "the others would have taken 9 s"


async def test_throttles_outlive_processes_and_roll_call_shows_them(
    begin: Begin, database: Database
) -> None:
    """Who starts after the pause is paused too; each profile says what is in force for it."""
    mesh = await begin(ONE)
    await mesh.throttle(throttle=-1, scope="workers")
    await mesh.throttle(throttle=250, topic="more")
    await mesh.stop()
    ran: list[str] = []

    async def work(_message: dict[str, Any]) -> None:
        ran.append("work")

    later = await begin(None, work=work, more=echo)
    await later.pub("t", {"id": "x"})
    profiles = {p.get("worker_topic"): p for p in await later.roll_call()}
    assert {topic: p["throttle"] for topic, p in profiles.items()} == {
        None: 0,
        "work": -1,
        "more": 250,
    }
    assert profiles["work"]["stream_depth"] == 1
    assert not ran
    await later.throttle(throttle=0)
    assert {p["throttle"] for p in await later.roll_call()} == {0}
    await eventually(lambda: _ended(later))
    assert await database.fetchval(f'select count(*) from "{database.schema}".throttles') == 1


async def test_a_lost_notification_delays_a_resume_by_a_second_at_most(
    begin: Begin, database: Database
) -> None:
    """The table decides: rows that are changed by hand hold without anybody being told."""
    mesh = await begin(ONE, work=echo, more=echo)
    await database.fetch(
        f"insert into \"{database.schema}\".throttles values ('app', 'all', '', -1, now())"
    )
    await mesh.pub("t", {"id": "x"})
    started = time.monotonic()
    await eventually(lambda: _passed(started, 0.3))
    assert await mesh.get_status("x") == 1
    await database.fetch(f'delete from "{database.schema}".throttles')
    await eventually(lambda: _ended(mesh), within=10)


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        ({"throttle": -1}, Throttle(-1, "all")),
        ({"throttle": 0, "scope": "engines"}, Throttle(0, "engines")),
        ({"throttle": 5, "topic": "a", "scope": "workers"}, Throttle(5, "topic", "a")),
        ({"throttle": 5, "guid": "g"}, Throttle(5, "guid", "g")),
        ({"throttle": -2}, None),
        ({"throttle": 1.5}, None),
        ({"throttle": True}, None),
        ({}, None),
        ({"throttle": 1, "scope": "some"}, None),
        ({"throttle": 1, "guid": "g", "topic": "t"}, Throttle(1, "guid", "g", "t")),
        ({"throttle": 1, "topic": "t", "scope": "engines"}, None),
        ({"throttle": 1, "who": "x"}, None),
        ({"throttle": -1, "topic": ""}, None),  # a variable that was not set is not everyone
        ({"throttle": -1, "guid": ""}, None),
        ({"throttle": -1, "topic": "a\0"}, None),
    ],
)
def test_what_a_throttle_may_say(options: Mapping[str, Any], meant: Throttle | None) -> None:
    """Each form is read as meant, and what makes no sense is refused."""
    if meant is None:
        with pytest.raises(ConfigurationError):
            throttle_of(options)
    else:
        assert throttle_of(options) == meant
        assert json.dumps(meant.message())


@pytest.mark.parametrize("milliseconds", [2**31, 10**12])
def test_a_throttle_that_is_too_long_names_the_limit(milliseconds: int) -> None:
    """A whole number is refused by the limit, not as if it were none."""
    with pytest.raises(ConfigurationError, match="2,147,483,647 at most"):
        throttle_of({"throttle": milliseconds})
    assert throttle_of({"throttle": 2**31 - 1}).milliseconds == 2**31 - 1
