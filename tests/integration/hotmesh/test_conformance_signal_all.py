# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Signals to all jobs that have something."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from durable.engine.interpreter import Interpreter
from durable.engine.statistics import Statistics
from durable.engine.steps import fan_out
from durable.engine.steps.graph_starts import Start
from durable.engine.steps.graph_steps import GraphSteps
from durable.engine.versions import Versions
from durable.errors import ConfigurationError
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from durable.postgres.errors import ConnectionLost
from durable.protocol.retry import RetryPolicy
from tests.integration.hotmesh.conftest import Begin, ring
from tests.integration.hotmesh.test_crashes import Breaking, emptied
from tests.waiting import eventually

ORDERS = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: order
      publishes: routed
      expire: 600
      activities:
        t1:
          type: trigger
          stats:
            id: '{$self.input.data.id}'
            key: '{$self.input.data.size}'
            granularity: 1h
            measures: [{measure: index, target: '{$self.input.data.color}'}, {measure: index, target: '{$self.input.data.parent}'}]
        n1: {type: hook, sleep: '{t1.output.data.nap}'}
        h1: {type: hook, job: {maps: {facility: '{$self.hook.data.facility}', id: '{$self.hook.data.id}'}}}
        w1: {type: worker, topic: note, input: {maps: {id: '{$job.metadata.jid}'}}}
      transitions: {t1: [{to: n1}], n1: [{to: h1}], h1: [{to: w1}]}
      hooks:
        order.routed: [{to: h1, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}]
    - subscribes: room
      expire: 600
      activities:
        t2: {type: trigger, stats: {id: '{$self.input.data.id}', key: all, granularity: infinity, measures: [{measure: index, target: '{t2.output.data.floor}'}]}}
        n2: {type: hook, sleep: '{t2.output.data.nap}'}
        h2: {type: hook, job: {maps: {word: '{$self.hook.data.word}'}}}
      transitions: {t2: [{to: n2}], n2: [{to: h2}]}
      hooks:
        room.cleaned: [{to: h2, conditions: {match: [{expected: '{t2.output.data.by}', actual: '{$self.hook.data.by}'}]}}]
    - subscribes: parent
      expire: 600
      activities:
        t3: {type: trigger}
        c3: {type: await, topic: order, await: false, input: {maps: {id: kid, size: lg, color: red, parent: '{$job.metadata.jid}'}}}
        g3:
          type: signal
          subtype: all
          topic: order.routed
          key_name: parent
          key_value: '{$job.metadata.jid}'
          scrub: true
          signal: {maps: {facility: '{t3.output.data.facility}'}}
          resolver: {maps: {data: {size: lg}, range: 1h}}
          job: {maps: {told: true}}
      transitions: {t3: [{to: c3}], c3: [{to: g3}]}
"""
QUERY = {"data": {"size": "lg"}, "range": "1h", "end": "NOW"}
COLORS = ("red", "yellow", "blue")


class Notes:
    """A callback that remembers the jobs for which it was called."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    async def note(self, message: dict[str, Any]) -> None:
        """Remember it."""
        self.of[message["data"]["id"]] += 1


async def orders(mesh: HotMesh, count: int, **more: Any) -> dict[str, list[str]]:
    """So many orders, their colors in turn; the ids by color."""
    found: dict[str, list[str]] = {color: [] for color in COLORS}
    for n in range(count):
        color = COLORS[n % 3]
        found[color].append(
            await mesh.pub("order", {"id": f"o{n}", "size": "lg", "color": color, **more})
        )
    return found


async def ended(mesh: HotMesh, ids: list[str]) -> bool:
    """Whether all of these jobs are done."""
    return all([await mesh.get_status(i) == 0 for i in ids])


async def left(database: Database) -> dict[str, int]:
    """How many messages and kept signals there are."""
    return {
        t: await database.fetchval(f'select count(*) from "{database.schema}".{t}')
        for t in ("engine_streams", "early_signals")
    }


async def quiet(database: Database) -> bool:
    """Whether there is nothing to do."""
    return not any((await left(database)).values())


async def test_each_job_of_a_facet_is_signalled_once(begin: Begin, database: Database) -> None:
    """Conformance `postgres.test`, hookAll: all red jobs end with the data, and their id; no other job is touched."""
    notes = Notes()
    mesh = await begin(ORDERS, note=notes.note)
    ids = await orders(mesh, 12)
    response = await mesh.hook_all(
        "order.routed", {"facility": "acme", "id": "nobody"}, QUERY, ["color:red"]
    )
    assert [key.split(":", 1)[0] for key in response] == ["lg"] * len(response)
    assert {key.rsplit(":index:")[1] for key in response} == {"color:red"}
    await eventually(lambda: ended(mesh, ids["red"]))
    for jid in ids["red"]:
        assert (await mesh.get_state("order", jid))["data"] == {"facility": "acme", "id": jid}
    assert {await mesh.get_status(i) for color in ("yellow", "blue") for i in ids[color]} == {1}
    assert notes.of == Counter(ids["red"])
    assert await eventually(lambda: quiet(database))


async def test_the_parts_of_a_signal_make_a_whole(
    begin: Begin, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two jobs a step, and several facets that overlap, every job is signalled once all the same."""
    monkeypatch.setattr(fan_out, "FAN_OUT", 2)
    notes = Notes()
    mesh = await begin(ORDERS, note=notes.note)
    ids = await orders(mesh, 15, parent="p")
    response = await mesh.hook_all(
        "order.routed", {}, QUERY, ["parent:p", "color:red", "color:green"]
    )
    assert {key.rsplit(":index:")[1] for key in response} == {"parent:p", "color:red"}
    await eventually(lambda: ended(mesh, [i for found in ids.values() for i in found]))
    assert set(notes.of.values()) == {1}
    assert len(notes.of) == 15
    assert await eventually(lambda: quiet(database))


async def test_more_jobs_than_a_step_takes(begin: Begin, database: Database) -> None:
    """Without facets all jobs of the key are meant: 1,100, in three steps."""
    notes = Notes()
    mesh = await begin(ORDERS, note=notes.note)
    many = [{"id": f"o{n}", "size": "lg", "color": "red"} for n in range(1100)]
    for part in range(0, 1100, 100):
        await asyncio.gather(*(mesh.pub("order", data) for data in many[part : part + 100]))
    assert await mesh.hook_all("order.routed", {}, QUERY)

    async def all_done() -> bool:
        rows = await database.fetch(
            f'select state, count(*) as n from "{database.schema}".jobs group by 1'
        )
        return {r["state"]: r["n"] for r in rows} == {"completed": 1100}

    assert await eventually(all_done, within=150)
    assert len(notes.of) == 1100
    assert set(notes.of.values()) == {1}


async def test_jobs_that_do_not_wait_yet_get_it_when_they_do(
    begin: Begin, database: Database
) -> None:
    """A signal is kept for a job that still sleeps, for none that has ended, and leaves with an interrupted one."""
    notes = Notes()
    mesh = await begin(ORDERS, note=notes.note)
    await mesh.pub("order", {"id": "late", "size": "lg", "color": "red", "nap": 60})
    await mesh.pub("order", {"id": "never", "size": "lg", "color": "red", "nap": 3600})
    await mesh.pub("order", {"id": "over", "size": "lg", "color": "red"})
    await mesh.interrupt("order", "over")
    await mesh.hook_all("order.routed", {"facility": "acme"}, QUERY, ["color:red"])

    async def kept() -> bool:
        return (await left(database))["early_signals"] == 2

    assert await eventually(kept)
    await ring(database, "late")
    await eventually(lambda: ended(mesh, ["late"]))
    assert notes.of == Counter(["late"])
    await mesh.interrupt("order", "never")
    await mesh.scrub("never")
    assert await eventually(lambda: quiet(database))


async def test_a_signal_is_only_for_the_jobs_meant(begin: Begin) -> None:
    """Where rules do not compare ids, a job outside of the facet that waits for the same is not woken in its place."""
    mesh = await begin(ORDERS)
    for n, floor in enumerate((1, 2, 1, 2, 1)):
        await mesh.pub("room", {"id": f"r{n}", "floor": floor, "by": "ann"})
    await mesh.pub("room", {"id": "bob", "floor": 2, "by": "bob"})
    assert await mesh.hook_all("room.cleaned", {"by": "ann", "word": "hi"}, {}, ["floor:2"]) == [
        "all:0:index:floor:2"
    ]
    await eventually(lambda: ended(mesh, ["r1", "r3"]))
    assert (await mesh.get_state("room", "r3"))["data"] == {"word": "hi"}
    assert {await mesh.get_status(i) for i in ("r0", "r2", "r4", "bob")} == {1}
    await mesh.hook("room.cleaned", {"by": "ann", "word": "you"})  # bob keeps his, ann's next comes
    await eventually(lambda: ended(mesh, ["r0"]))
    assert await mesh.get_status("bob") == 1


async def test_what_is_kept_for_a_job_no_other_job_takes(begin: Begin, database: Database) -> None:
    """A job that comes to wait for the same before the one that is meant does not find its signal."""
    mesh = await begin(ORDERS)
    await mesh.pub("room", {"id": "late", "floor": 2, "by": "ann", "nap": 60})
    await mesh.hook_all("room.cleaned", {"by": "ann", "word": "hi"}, {}, ["floor:2"])

    async def kept() -> bool:
        return (await left(database))["early_signals"] == 1

    await eventually(kept)
    await mesh.pub("room", {"id": "early", "floor": 1, "by": "ann"})
    assert (await left(database))["early_signals"] == 1
    await ring(database, "late")
    await eventually(lambda: ended(mesh, ["late"]))
    assert await mesh.get_status("early") == 1


async def test_an_index_may_be_for_one_use(begin: Begin) -> None:
    """With scrub, jobs have the facet no longer afterwards; their other facets they keep."""
    mesh = await begin(ORDERS, note=Notes().note)
    ids = await orders(mesh, 3, parent="p")
    await mesh.hook_all("order.routed", {}, {**QUERY, "scrub": True}, ["parent:p"])
    await eventually(lambda: ended(mesh, [i for found in ids.values() for i in found]))
    assert (await mesh.get_ids("order", QUERY))["facets"] == [
        "color:blue",
        "color:red",
        "color:yellow",
    ]
    assert await mesh.hook_all("order.routed", {}, QUERY, ["parent:p"]) == []


FAMILY = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: family.begin
      publishes: family.told
      expire: 60
      activities:
        t1:
          type: trigger
          emit: true
          stats: {id: '{$self.input.data.name}', key: '{$self.input.data.parent}', granularity: infinity, measures: [{measure: index, target: '{$self.input.data.parent}'}]}
          job: {maps: {parent: '{$self.input.data.parent}', name: '{$self.input.data.name}'}}
        h1: {type: hook, job: {maps: {done: '{$self.hook.data.done}'}}}
      transitions: {t1: [{to: h1}]}
      hooks:
        family.go: [{to: h1, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}]
"""


async def test_a_pattern_hears_of_all_that_were_signalled(begin: Begin) -> None:
    """Conformance `hook`: jobs emit and wait, one hook_all on a single-use index ends them, a pattern hears both."""
    mesh = await begin(FAMILY)
    heard: list[tuple[str, dict[str, Any]]] = []

    async def subscriber(topic: str, job: dict[str, Any]) -> None:
        heard.append((topic, job["data"]))

    await mesh.psub("family.told*", subscriber)
    for name in ("ann", "bob"):
        await mesh.pub("family.begin", {"parent": "eve", "name": name})
    await mesh.pub("family.begin", {"parent": "ada", "name": "cid"})
    targets = await mesh.hook_all(
        "family.go", {"done": True}, {"data": {"parent": "eve"}, "scrub": True}, ["parent:eve"]
    )
    assert targets == ["eve:0:index:parent:eve"]
    alike = [{"parent": "eve", "name": name} for name in ("ann", "bob")]
    wanted = [*alike, {"parent": "ada", "name": "cid"}, *({**data, "done": True} for data in alike)]

    async def all_heard() -> bool:
        return len(heard) >= len(wanted)

    await eventually(all_heard)
    assert sorted(map(str, heard)) == sorted(str(("family.told", data)) for data in wanted)
    assert await mesh.get_status("cid") == 1
    await mesh.punsub("family.told*")


async def test_an_activity_signals_all(begin: Begin) -> None:
    """Conformance `signal`, subtype all: jobs with the facet wake with what the maps made; the job goes on to its end."""
    notes = Notes()
    mesh = await begin(ORDERS, note=notes.note)
    other = await mesh.pub(
        "order", {"id": "other", "size": "lg", "color": "red", "parent": "nobody"}
    )
    job = await mesh.pubsub("parent", {"facility": "acme"}, timeout=100)
    assert (job["data"], job["metadata"]["js"]) == ({"told": True}, 0)
    await eventually(lambda: ended(mesh, ["kid"]))
    assert (await mesh.get_state("order", "kid"))["data"] == {"facility": "acme", "id": "kid"}
    assert await mesh.get_status(other) == 1
    assert notes.of == Counter(["kid"])
    facets = (await mesh.get_ids("order", QUERY))["facets"]
    assert f"parent:{job['metadata']['jid']}" not in facets  # scrub: true
    assert "parent:nobody" in facets


async def test_a_signal_to_all_that_makes_no_sense_fails_its_job(begin: Begin) -> None:
    """A query that the resolver's maps made wrong is an error of the job that asked, and says where."""
    mesh = await begin(ORDERS.replace("range: 1h}}", "rang: 1h}}"))
    job = await mesh.pub("parent", {})

    async def failed() -> Any:
        return (await mesh.get_state("parent", job))["metadata"].get("err")

    error = await eventually(failed)
    assert "activity 'g3'" in error["message"]
    assert "unknown fields ['rang']" in error["message"]


BAD = [
    (("nowhere", {}, QUERY), "unable to find hook rule for topic 'nowhere'"),
    (("order.routed", {}, {"data": {"size": "lg"}}), "says nothing of time"),
    (("order.routed", {}, {**QUERY, "data": {}}), "its stats.key is null or"),
    (("order.routed", {}, QUERY, ["red"]), "facet 'red' is none of graph 'order'"),
    (("room.cleaned", {}, {}, ["floor:1"]), "lacks what its rules compare"),
]


@pytest.mark.parametrize(("args", "expected"), BAD)
async def test_what_nobody_could_get_is_refused(
    begin: Begin, database: Database, args: Any, expected: str
) -> None:
    """Unknown topics, queries and facets that fit nothing, and data that no rule can compare raise at once."""
    mesh = await begin(ORDERS)
    with pytest.raises(ConfigurationError, match=expected):
        await mesh.hook_all(*args)
    assert await quiet(database)


async def test_a_crash_at_any_statement_loses_and_doubles_nothing(
    dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks before each statement of every step in turn: every job gets its signal once."""
    monkeypatch.setattr(fan_out, "FAN_OUT", 2)

    async def run(at: int) -> tuple[list[tuple[str, int]], list[int], int]:
        await emptied(database)
        opened = await Breaking.open(dsn, schema=database.schema, size=2)
        try:
            versions = Versions(opened)
            await versions.deploy(ORDERS)
            await versions.activate("app", "1")
            steps = GraphSteps(opened, versions.plans, RetryPolicy(), lambda: 0.5, member=lambda: 1)
            for n in range(5):
                nap = 3600 if n == 4 else None
                await steps.start(
                    Start("app", "order", {"id": f"o{n}", "size": "lg", "color": "red", "nap": nap})
                )
            statistics = Statistics(opened, versions.plans, "app", lambda: None)
            interpreter = Interpreter(steps, "app", lambda _written: None)
            opened.count, opened.breaks_at = 0, at
            await _surely(lambda: statistics.signal_all("order.routed", {}, QUERY, ["color:red"]))
            await _surely(interpreter.drain)
            count, opened.breaks_at = opened.count, -1
            rows = await opened.fetch(
                f'select a.aid, count(*) as n from "{opened.schema}".activities a where a.settled_at is not null'
                " group by 1 order by 1"
            )
            counts = [
                await opened.fetchval(f'select count(*) from "{opened.schema}".{table}')
                for table in ("worker_streams", "early_signals", "hooks")
            ]
            return [(r["aid"], r["n"]) for r in rows], counts, count
        finally:
            opened.breaks_at = -1
            await opened.close()

    *whole, statements = await run(-1)
    assert whole == [
        [("h1", 4), ("n1", 4)],
        [4, 1, 0],
    ]  # four woke, the fifth finds its own when it comes
    assert statements > 30
    for at in range(1, statements + 1):
        assert list((await run(at))[:2]) == whole, f"statement {at}"


async def _surely(action: Any) -> None:
    try:
        await action()
    except ConnectionLost:
        await action()


async def test_an_engine_that_is_killed_in_the_middle_is_relieved(
    begin: Begin, database: Database
) -> None:
    """SIGKILL while a slow engine signals 600 jobs: another goes on where it was, each job is woken once."""
    notes = Notes()
    mesh = await begin(ORDERS, note=notes.note)
    many = [{"id": f"o{n}", "size": "lg", "color": "red"} for n in range(600)]
    for part in range(0, 600, 100):
        await asyncio.gather(*(mesh.pub("order", data) for data in many[part : part + 100]))
    await mesh.throttle(throttle=10, scope="engines")
    await mesh.throttle(throttle=-1, guid=mesh.engine_id)
    await mesh.hook_all("order.routed", {}, QUERY, ["color:red"])
    root = Path(__file__).parents[3]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("engine_process.py")), str(database.dsn), database.schema,
        stdout=asyncio.subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip

    async def begun() -> bool:
        return bool(notes.of)

    await eventually(begun, within=150)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert len(notes.of) < 600
    await mesh.throttle(throttle=0)

    async def all_noted() -> bool:
        return len(notes.of) == 600

    await eventually(all_noted, within=150)
    assert await eventually(lambda: quiet(database))
    assert set(notes.of.values()) == {1}
