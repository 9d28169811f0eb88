# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Signals: rules, races with timers, early ones, several in a row; nothing is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable.errors import ConfigurationError
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
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        h1: {type: hook, job: {maps: {approved: '{$self.hook.data.approved}'}}}
        after: {type: hook, job: {maps: {by: '{h1.hook.data.by}'}}}
      transitions: {t1: [{to: h1}], h1: [{to: after}]}
      hooks:
        abc.approve:
          - to: h1
            conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}
"""


async def _done(mesh: HotMesh, jid: str) -> bool:
    return await mesh.get_status(jid) == 0


async def _waiting(database: Database, count: int) -> bool:
    return bool(
        await database.fetchval(f'select count(*) = {count} from "{database.schema}".hooks')
    )


async def test_a_signal_wakes_the_job_that_its_rule_means(begin: Begin, database: Database) -> None:
    """Of two waiting jobs the one whose id the payload names goes on, with the payload; the other waits."""
    mesh = await begin(WAIT)
    await mesh.pub("t", {"id": "j1"})
    await mesh.pub("t", {"id": "j2"})
    assert await _waiting(database, 2)
    await mesh.hook("abc.approve", {"id": "j2", "approved": True, "by": "ann"})
    await eventually(lambda: _done(mesh, "j2"))
    assert (await mesh.get_state("t", "j2"))["data"] == {"approved": True, "by": "ann"}
    assert await mesh.get_status("j1") == 1
    assert await _waiting(database, 1)


async def test_an_early_signal_is_kept(begin: Begin, database: Database) -> None:
    """A signal before its waiter is delivered when the waiter comes, and each of several just once."""
    mesh = await begin(WAIT)
    await mesh.hook("abc.approve", {"id": "late", "approved": 1})
    await mesh.hook("abc.approve", {"id": "late", "approved": 2})
    await eventually(lambda: _parked(database, 2))
    out = await mesh.pubsub("t", {"id": "late"}, timeout=100)
    assert out["data"] == {"approved": 1}
    await eventually(lambda: _expired(database, "late"))
    out = await mesh.pubsub("t", {"id": "late"}, timeout=100)
    assert out["data"] == {"approved": 2}
    assert await _parked(database, 0)


async def _parked(database: Database, count: int) -> bool:
    return bool(
        await database.fetchval(f'select count(*) = {count} from "{database.schema}".early_signals')
    )


async def _expired(database: Database, jid: str) -> bool:
    """Let an ended job's id be free again, by moving its end into the past."""
    await database.fetch(
        f"update \"{database.schema}\".jobs set expires_at = expires_at - interval '1 minute' where jid = $1",
        jid,
    )
    return True


@pytest.mark.parametrize(
    ("topic", "data", "words"),
    [
        ("abc.aprove", {"id": "x"}, "no hook of app 'app' waits at 'abc.aprove'"),
        ("abc.approve", {"ID": "x"}, "lacks"),
    ],
)
async def test_a_signal_that_nobody_could_get_is_refused(
    begin: Begin, topic: str, data: Any, words: str
) -> None:
    """A misspelled topic, or a payload without what the rules compare, raises where it is sent."""
    mesh = await begin(WAIT)
    with pytest.raises(ConfigurationError, match=words):
        await mesh.hook(topic, data)


async def test_a_number_is_no_text(begin: Begin, database: Database) -> None:
    """Rules compare strictly: a signal for job 7, the number, does not wake job "7", the text."""
    mesh = await begin(WAIT)
    await mesh.pub("t", {"id": "7"})
    await mesh.hook("abc.approve", {"id": 7})
    await eventually(lambda: _parked(database, 1))
    assert await mesh.get_status("7") == 1


RACE = WAIT.replace("h1: {type: hook,", "h1: {type: hook, sleep: '{t1.output.data.wait}',").replace(
    "approved: '{$self.hook.data.approved}'",
    "approved: '{$self.hook.data.approved}', at: '{$self.hook.data.timestamp}'",
)


async def test_signal_and_timer_race_and_one_wins(begin: Begin, database: Database) -> None:
    """The signal disarms the timer; the timer takes the waiter back, and brings no payload but the time."""
    mesh = await begin(RACE)
    await mesh.pub("t", {"id": "s", "wait": 3600})
    await mesh.hook("abc.approve", {"id": "s", "approved": True})
    await eventually(lambda: _done(mesh, "s"))
    assert (await mesh.get_state("t", "s"))["data"] == {"approved": True}
    left = f'select count(*) from "{database.schema}".engine_streams where expired_at is null'
    assert await database.fetchval(left) == 0
    out = await mesh.pubsub("t", {"id": "z", "wait": 0.05}, timeout=100)
    assert out["data"].keys() == {"at"}
    assert await _waiting(database, 0)


async def test_a_signal_that_comes_after_the_timer_is_kept(
    begin: Begin, database: Database
) -> None:
    """What arrives for a hook that has timed out is not lost: it waits for the next one of its key in the same job."""
    longer = RACE.replace("t1: [{to: h1}]", "t1: [{to: h1}, {to: open}]").replace(
        "        after:", "        open: {type: hook, sleep: 60}\n        after:"
    )
    mesh = await begin(longer)
    await mesh.pub("t", {"id": "z", "wait": 0.02})

    async def timed_out() -> bool:
        return bool((await mesh.get_state("t", "z"))["data"].get("at"))

    await eventually(timed_out)
    await mesh.hook("abc.approve", {"id": "z", "approved": "late"})
    await eventually(lambda: _parked(database, 1))


MANY = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        h1: {type: hook}
        each: {type: hook, job: {maps: {'last': '{h1.hook.data.n}'}}}
        end: {type: hook, job: {maps: {end: '{h1.hook.data.n}'}}}
      transitions:
        t1: [{to: h1}]
        h1: [{to: each, conditions: {code: 202}}, {to: end}]
      hooks:
        tick:
          - to: h1
            conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}
"""


async def test_202_keeps_a_hook_open(begin: Begin, database: Database) -> None:
    """Three signals with 202 and one with 200: four answers in four dimensions, in order, then done."""
    mesh = await begin(MANY)
    await mesh.hook("tick", {"id": "m", "n": 0}, "pending", 202)  # early
    await eventually(lambda: _parked(database, 1))
    await mesh.pub("t", {"id": "m"})
    for n in (1, 2):
        await mesh.hook("tick", {"id": "m", "n": n}, code=202)
    await mesh.hook("tick", {"id": "m", "n": 3})
    await eventually(lambda: _done(mesh, "m"))
    exported = await mesh.export("m")
    ticks = [exported["process"][f"0/{k}"]["h1"]["hook"]["data"]["n"] for k in range(4)]
    assert ticks == [0, 1, 2, 3]
    assert exported["process"]["data"] == {"last": 2, "end": 3}


BETWEEN = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: waiter
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        h1: {type: hook, job: {maps: {word: '{$self.hook.data.word}'}}}
      transitions: {t1: [{to: h1}]}
      hooks:
        say:
          - {to: h1, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}
    - subscribes: sender
      activities:
        t2: {type: trigger}
        g2: {type: signal, subtype: one, topic: say, signal: {maps: {id: '{t2.output.data.to}', word: hello}}, job: {maps: {sent: true}}}
      transitions: {t2: [{to: g2}]}
"""


async def test_a_signal_activity_signals_another_job(begin: Begin) -> None:
    """A `signal` activity does what a signal from outside does, and its job goes on."""
    mesh = await begin(BETWEEN)
    waiting = asyncio.create_task(mesh.pubsub("waiter", {"id": "w"}, timeout=100))
    assert (await mesh.pubsub("sender", {"to": "w"}))["data"] == {"sent": True}
    assert (await waiting)["data"] == {"word": "hello"}


async def test_a_hundred_signals_race_with_their_waiters(begin: Begin, database: Database) -> None:
    """Two engines, a hundred jobs and signals sent at the same time: every waiter gets its own."""
    mesh = await begin(WAIT)
    await begin(None)
    ids = [f"r{n}" for n in range(100)]
    starts = [mesh.pubsub("t", {"id": jid}, timeout=100) for jid in ids]
    signals = [mesh.hook("abc.approve", {"id": jid, "approved": jid}) for jid in ids]
    results = await asyncio.gather(*starts, *signals)
    assert [out["data"]["approved"] for out in results[:100]] == ids  # type: ignore[index]
    assert await _parked(database, 0)
    assert await _waiting(database, 0)


NEW_RULE = WAIT.replace("version: '1'", "version: '2'").replace(
    "match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]",
    "match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.key}'}]",
)


async def test_an_early_signal_is_found_by_a_rule_that_was_deployed_later(
    begin: Begin, database: Database
) -> None:
    """A new version that compares something else takes signals that were kept under the old rule."""
    mesh = await begin(WAIT)
    await mesh.hook("abc.approve", {"id": "old", "key": "new", "approved": "both"})
    await eventually(lambda: _parked(database, 1))
    await mesh.deploy(NEW_RULE)
    await mesh.activate("2")
    assert (await mesh.pubsub("t", {"id": "new"}, timeout=100))["data"] == {"approved": "both"}
    assert await _parked(database, 0)
