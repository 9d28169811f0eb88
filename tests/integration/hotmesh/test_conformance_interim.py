# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Jobs that are heard of before their end, count as done before it, or end before their time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable.engine.retention import Retention
from durable.postgres.database import Database
from durable.protocol.retention import Pruning
from tests.integration.hotmesh.conftest import Begin, echo
from tests.waiting import eventually

EMIT = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      publishes: t.done
      activities:
        t1: {type: trigger}
        w1: {type: worker, topic: first, emit: '{t1.output.data.emit}', job: {maps: {first: done}}}
        w2: {type: worker, topic: second, emit: true, job: {maps: {second: done}}}
      transitions: {t1: [{to: w1}], w1: [{to: w2}]}
    - subscribes: parent
      activities:
        p1: {type: trigger}
        a1: {type: await, topic: t, input: {maps: {emit: true}}}
        soon: {type: hook, job: {maps: {soon: '{a1.output.data}'}}}
        late: {type: hook, job: {maps: {late: '{a1.output.data}'}}}
      transitions: {p1: [{to: a1}], a1: [{to: soon, conditions: {code: 202}}, {to: late}]}
"""


async def test_an_interim_state_is_published_before_the_end(begin: Begin) -> None:
    """Subscribers hear of the state when an activity with `emit` has settled, and of the end once."""
    gate = asyncio.Event()

    async def second(_message: dict[str, Any]) -> None:
        await gate.wait()

    mesh = await begin(EMIT, first=echo, second=second)
    heard: list[tuple[dict[str, Any], int]] = []
    one: list[int] = []
    await mesh.sub("t.done", lambda _t, job: heard.append((job["data"], job["metadata"]["js"])))
    jid = await mesh.pub("t", {"emit": True})
    await mesh.sub(f"t.done.{jid}", lambda _t, job: one.append(job["metadata"]["js"]))

    async def told(number: int) -> bool:
        return len(heard) >= number

    await eventually(lambda: told(1))
    assert heard == [({"first": "done"}, 1)]
    gate.set()
    await eventually(lambda: told(2))
    assert heard[1:] == [({"first": "done", "second": "done"}, 0)]
    out = await mesh.pubsub("t", {"emit": False}, timeout=100)
    assert out["metadata"]["js"] == 0
    await eventually(lambda: told(3))
    assert len(heard) == 3


async def test_a_missed_announcement_of_an_interim_state_is_found(begin: Begin) -> None:
    """Without any notification the state is found by looking, as ends are."""
    mesh = await begin(EMIT, first=echo, second=echo)
    heard: list[int] = []
    mesh._parts.host._resources.notifier.notify = lambda *_: None  # type: ignore[method-assign]
    await mesh.sub("t.done", lambda _t, job: heard.append(job["metadata"]["js"]))
    await mesh.pubsub("t", {"emit": True}, timeout=100)

    async def both() -> bool:
        return heard == [1, 0]

    assert await eventually(both)


async def test_a_parent_hears_202_and_then_200(begin: Begin) -> None:
    """The interim state of a child follows the transition for 202, each answer the plain one."""
    mesh = await begin(EMIT, first=echo, second=echo)
    out = await mesh.pubsub("parent", {}, timeout=100)
    assert out["data"] == {
        "soon": {"first": "done"},
        "late": {"first": "done", "second": "done"},
    }
    assert out["metadata"]["js"] == 0


PERSIST = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      publishes: t.done
      expire: 100
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        e1: {type: hook, persist: true, job: {maps: {answer: 42}}}
        h1: {type: hook, job: {maps: {more: '{$self.hook.data.more}'}}}
        w1: {type: worker, topic: work, retry: {initialInterval: 0}, job: {maps: {worked: true}}}
      transitions: {t1: [{to: e1}], e1: [{to: h1}], h1: [{to: w1}]}
      hooks: {x: [{to: h1, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}]}
    - subscribes: parent
      activities:
        p1: {type: trigger}
        a1: {type: await, topic: t, input: {maps: {id: child}}, job: {maps: {got: '{$self.output.data}'}}}
      transitions: {p1: [{to: a1}]}
"""


async def fail_once(message: dict[str, Any]) -> None:
    """A callback that succeeds at its second attempt."""
    if message["metadata"]["try"] == 0:
        raise ValueError("not yet")


async def test_a_persisted_job_is_done_for_its_callers_and_goes_on(begin: Begin) -> None:
    """Callers and subscribers are told at once, and once; signals, work and retries go on to status 0."""
    mesh = await begin(PERSIST, work=fail_once)
    heard: list[Any] = []
    await mesh.sub("t.done", lambda _t, job: heard.append((job["data"], job["metadata"]["js"])))
    out = await mesh.pubsub("t", {"id": "a"}, timeout=100)
    assert (out["data"], out["metadata"]["js"]) == ({"answer": 42}, 1)
    assert await mesh.get_status("a") == 1
    await mesh.hook("x", {"id": "a", "more": 7})

    async def done() -> bool:
        return await mesh.get_status("a") == 0

    assert await eventually(done)
    assert (await mesh.get_state("t", "a"))["data"] == {"answer": 42, "more": 7, "worked": True}
    await mesh.pubsub("t", {"id": "b"}, timeout=100)

    async def told() -> bool:
        return len(heard) >= 2

    assert await eventually(told)
    assert [data.get("answer") for data, _ in heard] == [42, 42]


async def test_a_parent_goes_on_when_its_child_persists(begin: Begin) -> None:
    """The parent gets the child's data of that moment, code 200, while the child still waits."""
    mesh = await begin(PERSIST, work=echo)
    assert (await mesh.pubsub("parent", {}, timeout=100))["data"] == {"got": {"answer": 42}}
    assert await mesh.get_status("child") == 1


async def test_a_persisted_job_leaves_when_it_expires(begin: Begin, database: Database) -> None:
    """Its expiry starts when it persists: then it leaves, with whom it still had waiting."""
    text = PERSIST.replace("expire: 100", "expire: 0.01")
    mesh = await begin(text, work=echo)
    await mesh.pubsub("t", {"id": "a"}, timeout=100)

    async def gone() -> bool:
        await Retention(database).prune(Pruning(0, app_id="app"))
        waiting = await database.fetchval(f'select count(*) from "{database.schema}".hooks')
        return not waiting

    assert await eventually(gone)


DAC = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        quick: {type: worker, topic: work, job: {maps: {quick: true}}}
        closer: {type: hook, statusThreshold: '{t1.output.data.threshold}', job: {maps: {closed: true}}}
        listens: {type: hook, job: {maps: {heard: true}}}
        sleeps: {type: hook, sleep: 100}
      transitions: {t1: [{to: listens}, {to: sleeps}, {to: quick}], quick: [{to: closer}]}
      hooks: {x: [{to: listens, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}]}
"""


async def test_few_open_branches_end_the_job(begin: Begin, database: Database) -> None:
    """C17: an activity is skipped when no more than its threshold are open; the job is done, and nobody waits."""
    mesh = await begin(DAC, work=echo)
    out = await mesh.pubsub("t", {"threshold": 3}, timeout=100)
    assert (out["data"], out["metadata"]["js"]) == ({"quick": True}, 0)
    for table in ("hooks", "engine_streams"):
        query = f'select count(*) from "{database.schema}".{table} where run_id is not null'
        assert await database.fetchval(query) == 0
    await mesh.hook(
        "x", {"id": out["metadata"]["jid"]}
    )  # too late: it is kept, and changes nothing
    assert (await mesh.get_state("t", out["metadata"]["jid"]))["data"] == {"quick": True}


@pytest.mark.parametrize("how", ["at once", "after waiting"])
async def test_the_threshold_counts_on_the_way_out_too(
    begin: Begin, database: Database, how: str
) -> None:
    """A job ends once an activity has settled and its threshold is all that is left open; js still tells how many that were."""
    text = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 100
      activities:
        t1: {type: trigger}
        p: {type: KIND, statusThreshold: 1, job: {maps: {p: 1}}}
        s: {type: hook, sleep: 60}
      transitions: {t1: [{to: p}, {to: s}]}
"""
    text = text.replace("KIND", "hook" if how == "at once" else "worker, topic: work")
    mesh = await begin(text, work=echo)
    out = await mesh.pubsub("t", timeout=100)
    assert (out["data"], out["metadata"]["js"]) == ({"p": 1}, 1)
    query = f'select count(*) from "{database.schema}".engine_streams where run_id is not null'
    assert await database.fetchval(query) == 0


async def test_more_open_branches_let_it_run(begin: Begin) -> None:
    """Above the threshold the activity runs as any other, and the job waits for its branches."""
    mesh = await begin(DAC, work=echo)
    jid = await mesh.pub("t", {"threshold": 1})

    async def closed() -> bool:
        return bool((await mesh.get_state("t", jid))["data"].get("closed"))

    assert await eventually(closed)
    assert await mesh.get_status(jid) == 2
    await mesh.interrupt("t", jid)


async def test_a_persistent_job_is_kept(begin: Begin, database: Database) -> None:
    """`persistent` is told to the activities, and such a job never expires."""
    text = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      persistent: '{t1.output.data.keep}'
      expire: 0.01
      activities:
        t1: {type: trigger, job: {maps: {kept: '{$job.metadata.persistent}'}}}
"""
    mesh = await begin(text)
    kept = await mesh.pubsub("t", {"keep": True})
    assert kept["data"] == {"kept": True}
    assert (await mesh.pubsub("t", {"keep": False}))["data"] == {}

    async def one_left() -> bool:
        await Retention(database).prune(Pruning(0, app_id="app"))
        return bool(await database.fetchval(f'select count(*) from "{database.schema}".jobs') == 1)

    assert await eventually(one_left)
    assert await mesh.get_status(kept["metadata"]["jid"]) == 0
