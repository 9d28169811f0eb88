# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Whole flows: arithmetic, sequences, loops through errors, two apps side by side; outputs, semaphore and codes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable.errors import ConfigurationError, JobFailed, JobNotFound, JobTimeout
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from durable.store.graph_messages import PRIORITY, EngineStream, Sent
from tests.integration.hotmesh.conftest import Begin
from tests.waiting import eventually

CALC = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: calculate
      publishes: calculated
      expire: 100
      activities:
        given: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        op:
          type: worker
          topic: '{given.output.data.op}'
          input: {maps: {values: '{given.output.data.values}'}}
          job: {maps: {result: '{$self.output.data.result}'}}
      transitions: {given: [{to: op}]}
"""
OPERATIONS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
}


def _operations() -> dict[str, Any]:
    def callback(operation: Any) -> Any:
        async def calculate(message: dict[str, Any]) -> dict[str, Any]:
            return {"data": {"result": operation(*message["data"]["values"])}}

        return calculate

    return {name: callback(operation) for name, operation in OPERATIONS.items()}


async def _done(mesh: HotMesh, jid: str) -> bool:
    return await mesh.get_status(jid) == 0


async def test_a_calculator(begin: Begin) -> None:
    """Four operations at once give four results; what a worker raises surfaces with its message and code."""
    mesh = await begin(CALC, retry={"maximumAttempts": 1}, **_operations())
    outs = await asyncio.gather(
        *(
            mesh.pubsub("calculate", {"id": op, "op": op, "values": [12, 3]}, timeout=100)
            for op in OPERATIONS
        )
    )
    assert [out["data"] for out in outs] == [{"result": r} for r in (15, 9, 36, 4)]
    assert {out["metadata"]["js"] for out in outs} == {0}
    with pytest.raises(JobFailed, match="division by zero") as failed:
        await mesh.pubsub("calculate", {"id": "x", "op": "divide", "values": [1, 0]}, timeout=100)
    assert (failed.value.code, failed.value.job_id) == (500, "x")
    assert "ZeroDivisionError" in failed.value.stack
    assert await mesh.get_status("x") == 0


async def test_a_short_wait_and_a_longer_one(begin: Begin) -> None:
    """504 says the job goes on; who waits long enough has the result; scrubbed, the job is gone."""
    gate = asyncio.Event()

    async def slow(_message: dict[str, Any]) -> dict[str, Any]:
        await gate.wait()
        return {"data": {"result": 1}}

    mesh = await begin(CALC, slow=slow)
    with pytest.raises(JobTimeout) as late:
        await mesh.pubsub("calculate", {"id": "a", "op": "slow"}, timeout=0.05)
    assert (late.value.code, await mesh.get_status("a")) == (504, 1)
    gate.set()
    await eventually(lambda: _done(mesh, "a"))
    assert (await mesh.get_state("calculate", "a"))["data"] == {"result": 1}
    assert (await mesh.pubsub("calculate", {"id": "b", "op": "slow"}, timeout=100))["data"] == {
        "result": 1
    }
    await mesh.scrub("a")
    with pytest.raises(JobNotFound) as gone:
        await mesh.get_status("a")
    assert gone.value.code == 404


async def test_subscribers_come_and_go(begin: Begin) -> None:
    """Two of one topic hear of every job, one of a single job of that one; after `unsub` nobody does."""
    mesh = await begin(CALC, **_operations())
    heard: dict[str, list[str]] = {"first": [], "second": [], "one": []}

    def note(name: str) -> Any:
        return lambda _topic, job: heard[name].append(job["metadata"]["jid"])

    await mesh.sub("calculated", note("first"))
    await mesh.sub("calculated", note("second"))
    await mesh.sub("calculated.b", note("one"))
    for jid in ("a", "b"):
        await mesh.pubsub("calculate", {"id": jid, "op": "add", "values": [1, 2]}, timeout=100)

    async def all_heard() -> bool:
        return heard == {"first": ["a", "b"], "second": ["a", "b"], "one": ["b"]}

    await eventually(all_heard)
    await mesh.unsub("calculated")
    await mesh.unsub("calculated.b")
    await mesh.pubsub("calculate", {"id": "c", "op": "add", "values": [1, 2]}, timeout=100)
    again: list[str] = []
    await mesh.sub("calculated", lambda _topic, job: again.append(job["metadata"]["jid"]))
    await mesh.pubsub("calculate", {"id": "d", "op": "add", "values": [1, 2]}, timeout=100)

    async def heard_again() -> bool:
        return "d" in again

    await eventually(heard_again)
    assert await all_heard()
    with pytest.raises(ConfigurationError, match="publishes"):
        await mesh.sub("calculate", note("first"))


SEQUENCE = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        a: {type: worker, topic: step, input: {maps: {v: '{t1.output.data.v}', name: a}}, job: {maps: {a: '{$self.output.data.v}'}}}
        b: {type: worker, topic: step, input: {maps: {v: '{a.output.data.v}', name: b}}, job: {maps: {b: '{$self.output.data.v}'}}}
        c: {type: worker, topic: step, input: {maps: {v: '{b.output.data.v}', first: '{a.output.data.v}', name: c}}, job: {maps: {c: '{$self.output.data.v}', all: ['{$job.data.a}', '{$job.data.b}']}}}
      transitions: {t1: [{to: a}], a: [{to: b}], b: [{to: c}]}
"""


async def test_a_sequence_hands_on_what_it_has(begin: Begin) -> None:
    """Each sees what its ancestors said and what the job has; one branch at a time is open."""
    seen: list[tuple[str, int]] = []
    mesh: HotMesh | None = None

    async def step(message: dict[str, Any]) -> dict[str, Any]:
        assert mesh is not None
        seen.append((message["metadata"]["dad"], await mesh.get_status(message["metadata"]["jid"])))
        data = message["data"]
        return {"data": {"v": f"{data['v']}{data['name']}{data.get('first', '')}"}}

    mesh = await begin(SEQUENCE, step=step)
    out = await mesh.pubsub("t", {"v": "-"}, timeout=100)
    assert out["data"] == {"a": "-a", "b": "-ab", "c": "-abc-a", "all": ["-a", "-ab"]}
    assert seen == [(",0,0", 1), (",0,0,0", 1), (",0,0,0,0", 1)]
    assert out["metadata"]["js"] == 0


async def test_two_apps_on_one_topic_do_not_mix(begin: Begin) -> None:
    """Same topic, graph and ids in two apps of one database: each app's worker has its own app's work."""
    meshes = []
    for app_id in ("app", "other"):

        async def step(message: dict[str, Any], app_id: str = app_id) -> dict[str, Any]:
            return {"data": {"v": f"{app_id} {message['data']['name']}"}}

        text = SEQUENCE.replace("id: app", f"id: {app_id}")
        meshes.append(await begin(text, app_id=app_id, step=step))
    outs = await asyncio.gather(
        *(mesh.pubsub("t", {"v": ""}, timeout=100) for mesh in meshes for _ in range(10))
    )
    assert [out["data"]["b"] for out in outs] == ["app b"] * 10 + ["other b"] * 10


ERROR_LOOP = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        p1: {type: hook, cycle: true, output: {maps: {n: 0}}}
        w1: {type: worker, topic: work, input: {maps: {n: '{p1.output.data.n}'}}, job: {maps: {n: '{p1.output.data.n}', code: '{$self.output.metadata.code}'}}}
        c1: {type: cycle, ancestor: p1, input: {maps: {n: {'@pipe': [['{p1.output.data.n}', 1], ['{@math.add}']]}, why: '{w1.output.metadata.err.message}'}}}
        end: {type: hook, job: {maps: {why: '{p1.output.data.why}'}}}
      transitions:
        t1: [{to: p1}]
        p1: [{to: w1}]
        w1: [{to: c1, conditions: {code: 500}}, {to: end}]
"""


async def test_a_loop_through_an_error(begin: Begin) -> None:
    """Five times the worker fails and the graph goes round; the sixth pass ends it, and the job is no failure."""
    passes: list[int] = []

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        passes.append(message["data"]["n"])
        if message["data"]["n"] < 5:
            return {
                "status": "error",
                "code": 500,
                "data": {"message": f"no {message['data']['n']}"},
            }
        return {"data": {}}

    mesh = await begin(ERROR_LOOP, work=work)
    out = await mesh.pubsub("t", timeout=100)
    assert passes == [0, 1, 2, 3, 4, 5]
    assert out["data"] == {"n": 5, "code": 200, "why": "no 4"}
    assert (out["metadata"]["js"], out["metadata"].get("err")) == (0, None)


DYNAMIC = """
app:
  id: app
  version: '{version}'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        h1: {type: hook, sleep: '{t1.output.data.sleep}', job: {maps: {word: '{$self.hook.data.word}', v: '{version}'}}}
        x1: {type: hook, sleep: 3600}
      transitions: {t1: [{to: h1}, {to: x1}]}
      hooks:
        say: [{to: h1, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}]
"""


@pytest.mark.parametrize("sleep", [None, 0, -1])
async def test_a_hook_without_a_sleep_waits_for_its_signal(
    begin: Begin, database: Database, sleep: Any
) -> None:
    """A sleep that comes to nothing arms no timer: the hook is there for its signal alone."""
    mesh = await begin(DYNAMIC.replace("{version}", "1"))
    await mesh.pub("t", {"id": "j", "sleep": sleep})
    query = f'select count(*) from "{database.schema}".engine_streams'
    assert await database.fetchval(query) == 1  # the other hook's
    assert await mesh.get_status("j") == 2
    await mesh.hook("say", {"id": "j", "word": "go"})

    async def heard() -> bool:
        state = await mesh.get_state("t", "j")
        return bool(state["data"] == {"word": "go", "v": "1"})

    await eventually(heard)
    assert await mesh.get_status("j") == 1


async def test_an_interruption_after_a_redeployment(begin: Begin, database: Database) -> None:
    """Version 2 goes live under a running job: the job is interrupted all the same, and a new one runs on 2."""
    mesh = await begin(DYNAMIC.replace("{version}", "1"))
    waiting = asyncio.create_task(mesh.pubsub("t", {"id": "old", "sleep": None}, timeout=100))

    async def there() -> bool:
        return bool(await database.fetchval(f'select count(*) from "{database.schema}".jobs'))

    await eventually(there)
    await mesh.deploy(DYNAMIC.replace("{version}", "2"))
    await mesh.activate("2")
    await mesh.interrupt("t", "old", code=499, reason="old")
    with pytest.raises(JobFailed, match="old") as failed:
        await waiting
    assert failed.value.code == 499
    assert await mesh.get_status("old") == 2 - 1_000_000_000
    state = await mesh.get_state("t", "old")
    assert (state["metadata"]["vrs"], state["metadata"]["err"]["code"]) == ("1", 499)
    await mesh.pub("t", {"id": "new", "sleep": None})
    assert (await mesh.get_state("t", "new"))["metadata"]["vrs"] == "2"


async def test_what_goes_on_comes_before_what_begins(database: Database) -> None:
    """Messages are claimed by priority of their kind, then in the order in which they came."""
    stream = EngineStream(database.schema)
    kinds = ["await", "response", "await", "result", "transition", "interrupt", "response"]
    async with database.connection() as connection:
        for number, kind in enumerate(kinds):
            await stream.send(connection, [Sent("app", kind, "{}", topic=str(number))])
        claimed = []
        for _ in kinds:
            async with connection.transaction():
                [row] = await stream.claim(connection, "app", 1)
                claimed.append((row["msg_type"], int(row["topic"])))
                await stream.consume(connection, [row["id"]])
        assert await stream.claim(connection, "app", 1) == []
    assert claimed == sorted(
        zip(kinds, range(len(kinds)), strict=True), key=lambda m: (-PRIORITY[m[0]], m[1])
    )


POLICY = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        w1: {type: worker, topic: work, retry: POLICY}
      transitions: {t1: [{to: w1}]}
"""


@pytest.mark.parametrize(
    ("policy", "columns"),
    [
        ("{maximumAttempts: 1}", (1, 10, 120, None)),
        ("{maximumAttempts: 2, backoffCoefficient: 1.5}", (2, 1.5, 120, None)),
        ("{backoffCoefficient: 2, maximumInterval: 2m}", (3, 2, 120, None)),
        ("{backoffCoefficient: 3, maximumInterval: 90, initialInterval: 250ms}", (3, 3, 90, 0.25)),
        ("{maximumAttempts: 1000, maximumInterval: 1 day}", (1000, 10, 86400, None)),
        ("{maximumAttempts: 3, backoffCoefficient: 10, maximumInterval: 120s}", (3, 10, 120, None)),
    ],
)
async def test_a_policy_stands_in_the_columns_of_its_message(
    begin: Begin, database: Database, policy: str, columns: tuple[Any, ...]
) -> None:
    """Coefficients, caps, attempts, intervals as numbers or durations, and what is left out."""
    mesh = await begin(POLICY.replace("POLICY", policy))
    await mesh.pub("t")
    [row] = await database.fetch(
        "select max_retry_attempts, backoff_coefficient::float8, maximum_interval_seconds::float8,"
        f' initial_interval_seconds::float8 from "{database.schema}".worker_streams'
    )
    assert tuple(row) == columns


async def test_policies_of_activity_and_worker_are_mixed(begin: Begin, database: Database) -> None:
    """An activity's own policy stays when a worker takes it; where it has none, the worker's is written into the row."""
    gate = asyncio.Event()

    async def work(_message: dict[str, Any]) -> dict[str, Any]:
        await gate.wait()
        return {"data": {}}

    own = POLICY.replace("POLICY", "{maximumAttempts: 7}")
    none = POLICY.replace(", retry: POLICY", "")
    for app_id, text in (("own", own), ("none", none)):
        mesh = await begin(
            text.replace("id: app", f"id: {app_id}"),
            app_id=app_id,
            retry={"maximumAttempts": 4},
            work=work,
        )
        await mesh.pub("t")

    async def taken() -> list[Any]:
        rows = await database.fetch(
            f'select max_retry_attempts from "{database.schema}".worker_streams'
            " where reserved_by is not null order by stream_name desc"
        )
        return [row[0] for row in rows] if len(rows) == 2 else []

    assert await eventually(taken) == [7, 4]
    gate.set()
