# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""One descriptor per kind and flavour of activity: outputs, semaphore and codes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable.errors import ApplicationError, JobFailed, JobNotFound, JobTimeout
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin, echo, ring
from tests.waiting import eventually

ONLY_TRIGGER = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, job: {maps: {seen: '{$self.output.data.a}'}}}
"""


async def test_a_trigger_alone_is_done_at_once(begin: Begin) -> None:
    """A graph without anything below its trigger ends with status 0 in the start itself."""
    mesh = await begin(ONLY_TRIGGER)
    out = await mesh.pubsub("t", {"a": 7})
    assert out["data"] == {"seen": 7}
    assert out["metadata"]["js"] == 0
    assert await mesh.get_status(out["metadata"]["jid"]) == 0


WORKER = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        w1:
          type: worker
          topic: work.do
          input: {maps: {x: '{t1.output.data.a}'}}
          output: {maps: {twice: {'@pipe': [['{$self.output.data.y}', 2], ['{@math.multiply}']]}}}
          job: {maps: {b: '{$self.output.data.y}', twice: '{$self.output.data.twice}'}}
      transitions: {t1: [{to: w1}]}
"""


async def test_a_worker_answers(begin: Begin) -> None:
    """Input is mapped to the callback, its answer to the job; what it gets has HotMesh's keys."""
    seen: list[dict[str, Any]] = []

    async def do(message: dict[str, Any]) -> dict[str, Any]:
        seen.append(message)
        return {"metadata": message["metadata"], "data": {"y": message["data"]["x"] + 1}}

    mesh = await begin(WORKER, work__do=do)
    out = await mesh.pubsub("t", {"a": 1}, timeout=100)
    assert out["data"] == {"b": 2, "twice": 4}
    assert seen[0]["data"] == {"x": 1}
    assert seen[0]["metadata"]["jid"] == out["metadata"]["jid"]
    assert {"guid", "gid", "dad", "aid", "topic"} <= seen[0]["metadata"].keys()
    state = await mesh.get_state("t", out["metadata"]["jid"])
    assert state["data"] == out["data"]


@pytest.mark.parametrize(
    "value",
    [
        "/data/report.txt",
        "/tx",
        "",
        "2024-01-01",
        None,
        [],
        {"a": [None, 1.5]},
        2**60,
        "你好" * 3000,
    ],
)
async def test_values_come_back_as_they_went_in(begin: Begin, value: Any) -> None:
    """What the ancestor's prefixes and limits corrupted survives the way through a worker."""
    mesh = await begin(
        WORKER.replace(
            "output: {maps: {twice: {'@pipe': [['{$self.output.data.y}', 2], ['{@math.multiply}']]}}}",
            "",
        ),
        work__do=lambda_echo_y,
    )
    out = await mesh.pubsub("t", {"a": value}, timeout=100)
    assert out["data"]["b"] == value


async def lambda_echo_y(message: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"y": message["data"]["x"]}}


CODES = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        w1: {type: worker, topic: work, input: {maps: {code: '{t1.output.data.code}'}}}
        fine: {type: hook, job: {maps: {way: fine}}}
        fix: {type: hook, job: {maps: {way: fix, why: '{w1.output.metadata.err.message}'}}}
      transitions:
        t1: [{to: w1}]
        w1:
          - {to: fine}
          - {to: fix, conditions: {code: [422, 423]}}
"""


async def coded(message: dict[str, Any]) -> dict[str, Any]:
    code = message["data"]["code"]
    return {
        "status": "success" if code == 200 else "error",
        "code": code,
        "data": {"message": f"code {code}"},
    }


async def test_codes_choose_the_way(begin: Begin) -> None:
    """200 follows the plain transition, a caught error its own, and an error nobody takes is the job's."""
    mesh = await begin(CODES, work=coded)
    assert (await mesh.pubsub("t", {"code": 200}, timeout=100))["data"] == {"way": "fine"}
    caught = await mesh.pubsub("t", {"code": 422}, timeout=100)
    assert caught["data"] == {"way": "fix", "why": "code 422"}
    with pytest.raises(JobFailed, match="code 500") as failed:
        await mesh.pubsub("t", {"code": 500}, timeout=100)
    assert failed.value.code == 500
    state = await mesh.get_state("t", failed.value.job_id)
    assert state["metadata"]["err"]["message"] == "code 500"
    assert state["metadata"]["js"] == 0


PENDING = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        w1: {type: worker, topic: work}
        each: {type: worker, topic: each, input: {maps: {n: '{w1.output.data.n}'}}}
        last: {type: hook, job: {maps: {last: '{w1.output.data.n}'}}}
      transitions:
        t1: [{to: w1}]
        w1:
          - {to: each, conditions: {code: 202}}
          - {to: last}
"""


async def test_202_keeps_a_worker_open_and_each_answer_has_a_dimension(begin: Begin) -> None:
    """Answers 202 count as branches of their own, in dimensions 0, 1, 2; the 200 closes the activity."""
    dads: list[str] = []
    gate = asyncio.Event()

    async def work(_message: dict[str, Any]) -> dict[str, Any]:
        return {"code": 202, "data": {"n": 0}}

    async def each(message: dict[str, Any]) -> dict[str, Any]:
        dads.append(message["metadata"]["dad"])
        await gate.wait()
        return {"data": {}}

    mesh = await begin(PENDING, work=work, each=each)
    await mesh.pub("t", {"id": "j1"})

    async def status_is(wanted: int) -> bool:
        return await mesh.get_status("j1") == wanted

    await eventually(lambda: status_is(2))  # the worker itself, and its first answer's branch
    address = {"jid": "j1", "aid": "w1", "dad": ",0,0"}
    await mesh.add({"metadata": address, "data": {"n": 1}, "code": 202})
    await eventually(lambda: status_is(3))
    await mesh.add({"metadata": address, "data": {"n": 2}})
    await eventually(lambda: status_is(2))  # the worker is closed, `last` is done
    gate.set()
    await eventually(lambda: status_is(0))
    assert sorted(dads) == [",0,0,0", ",0,1,0"]
    assert (await mesh.get_state("t", "j1"))["data"] == {"last": 2}
    exported = await mesh.export("j1")
    assert exported["process"]["0/1"]["w1"]["output"]["data"] == {"n": 1}


PARALLEL = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        a: {type: worker, topic: a, job: {maps: {a: '{$self.output.data.v}'}}}
        b: {type: worker, topic: b, job: {maps: {b: '{$self.output.data.v}'}}}
        c: {type: worker, topic: c, input: {maps: {from_b: '{b.output.data.v}'}}, job: {maps: {c: '{$self.output.data.from_b}'}}}
      transitions: {t1: [{to: a}, {to: b}], b: [{to: c}]}
"""


async def test_parallel_branches_share_a_semaphore(begin: Begin) -> None:
    """Two branches make 2; the job is done when the slowest is, and no branch's data is lost."""
    slow = asyncio.Event()

    async def a(_message: dict[str, Any]) -> dict[str, Any]:
        await slow.wait()
        return {"data": {"v": "A"}}

    async def b(_message: dict[str, Any]) -> dict[str, Any]:
        return {"data": {"v": "B"}}

    mesh = await begin(PARALLEL, a=a, b=b, c=echo)
    await mesh.pub("t", {"id": "p"})
    assert await mesh.get_status("p") == 2

    async def b_and_c_done() -> bool:
        return (await mesh.get_state("t", "p"))["data"].get("c") == "B"

    await eventually(b_and_c_done)
    assert await mesh.get_status("p") == 1
    slow.set()
    assert await eventually(lambda: _done(mesh, "p"))
    assert (await mesh.get_state("t", "p"))["data"] == {"a": "A", "b": "B", "c": "B"}


async def _done(mesh: Any, jid: str) -> bool:
    return await mesh.get_status(jid) == 0


GATES = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        one: {type: hook, job: {maps: {one: true}}}
        both: {type: hook, job: {maps: {both: true}}}
        either: {type: hook, job: {maps: {either: true}}}
      transitions:
        t1:
          - {to: one, conditions: {match: [{expected: 1, actual: '{t1.output.data.a}'}]}}
          - to: both
            conditions:
              gate: and
              match: [{expected: 1, actual: '{t1.output.data.a}'}, {expected: 2, actual: '{t1.output.data.b}'}]
          - to: either
            conditions:
              gate: or
              match: [{expected: 1, actual: '{t1.output.data.a}'}, {expected: 2, actual: '{t1.output.data.b}'}]
"""


@pytest.mark.parametrize(
    ("given", "ways"),
    [
        ({"a": 1, "b": 2}, {"one", "both", "either"}),
        ({"a": 1, "b": 0}, {"one", "either"}),
        ({"a": 0, "b": 2}, {"either"}),
        ({"a": "1", "b": 0}, set()),
        ({}, set()),
    ],
)
async def test_transitions_by_gate_and_match(
    begin: Begin, given: dict[str, Any], ways: set[str]
) -> None:
    """`and` wants all, `or` any; equality is strict, and what is undefined equals nothing."""
    mesh = await begin(GATES)
    assert set((await mesh.pubsub("t", given))["data"]) == ways


AWAIT = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: parent
      activities:
        t1: {type: trigger}
        a1:
          type: await
          topic: child
          await: '{t1.output.data.wait}'
          input: {maps: {id: '{t1.output.data.child}', n: '{t1.output.data.n}'}}
          job: {maps: {r: '{$self.output.data.result}', child: '{$self.output.data.job_id}'}}
        sorry: {type: hook, job: {maps: {sorry: '{a1.output.metadata.err.message}'}}}
      transitions: {t1: [{to: a1}], a1: [{to: sorry, conditions: {code: [409, 418]}}]}
    - subscribes: child
      activities:
        t2: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        w2: {type: worker, topic: twice, input: {maps: {n: '{t2.output.data.n}'}}, job: {maps: {result: '{$self.output.data.n}'}}}
      transitions: {t2: [{to: w2}]}
"""


async def twice(message: dict[str, Any]) -> dict[str, Any]:
    n = message["data"]["n"]
    if n < 0:
        return {"status": "error", "code": -n, "data": {"message": "I am a teapot"}}
    return {"data": {"n": 2 * n}}


async def test_an_await_waits_for_its_child(begin: Begin) -> None:
    """The child's data are the answer, its error is the activity's, and `await: false` gives its id at once."""
    mesh = await begin(AWAIT, twice=twice)
    out = await mesh.pubsub("parent", {"wait": True, "n": 4, "child": "c1"}, timeout=100)
    assert out["data"] == {"r": 8}
    child = await mesh.get_state("child", "c1")
    assert child["metadata"]["pj"] == out["metadata"]["jid"]
    forgotten = await mesh.pubsub("parent", {"wait": False, "n": 5, "child": "c2"}, timeout=100)
    assert forgotten["data"] == {"child": "c2"}
    caught = await mesh.pubsub("parent", {"wait": True, "n": -418, "child": "c3"}, timeout=100)
    assert caught["data"] == {"sorry": "I am a teapot"}
    with pytest.raises(JobFailed, match="teapot") as failed:
        await mesh.pubsub("parent", {"wait": True, "n": -500, "child": "c4"}, timeout=100)
    assert failed.value.code == 500
    mine = await mesh.get_state("parent", failed.value.job_id)  # the job that was started
    cause = failed.value.__cause__
    assert isinstance(cause, JobFailed)
    assert (cause.code, cause.job_id, mine["metadata"]["err"]["job_id"]) == (500, "c4", "c4")


async def test_a_child_whose_id_is_taken_is_an_error_of_the_await(begin: Begin) -> None:
    """A second child of one id is not swallowed: its parent hears 409."""
    hold = asyncio.Event()

    async def slow(_message: dict[str, Any]) -> dict[str, Any]:
        await hold.wait()
        return {"data": {"n": 0}}

    mesh = await begin(AWAIT, twice=slow)
    await mesh.pub("parent", {"wait": True, "n": 1, "child": "same"})
    out = await mesh.pubsub("parent", {"wait": True, "n": 1, "child": "same"}, timeout=100)
    assert out["data"] == {"sorry": "Duplicate job: same"}
    hold.set()


SLEEP = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        s1: {type: hook, sleep: '{t1.output.data.seconds}', job: {maps: {woke: true}}}
        after: {type: hook, job: {maps: {slept: '{s1.output.metadata.code}'}}}
      transitions: {t1: [{to: s1}], s1: [{to: after}]}
"""


async def test_a_hook_sleeps_to_the_moment(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sleep ends by its own alarm, no poll being there, not before its time."""
    monkeypatch.setattr("durable.engine.timers.POLL", 3600.0)
    mesh = await begin(SLEEP)
    loop = asyncio.get_running_loop()
    began = loop.time()
    out = await mesh.pubsub("t", {"seconds": 0.4}, timeout=100)
    assert loop.time() - began >= 0.4
    assert out["data"] == {"woke": True, "slept": 200}
    for nothing in (0, None, -1):
        assert (await mesh.pubsub("t", {"seconds": nothing}))["data"]["woke"] is True


async def test_maps_of_a_sleeping_hook_wait_for_its_end(begin: Begin) -> None:
    """Job data are written when the sleep is over, never when it begins."""
    mesh = await begin(SLEEP)
    jid = await mesh.pub("t", {"seconds": "30 days"})
    assert (await mesh.get_state("t", jid))["data"] == {}
    assert await mesh.get_status(jid) == 1


CYCLE = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        p1: {type: hook, cycle: true, output: {maps: {n: 0}}}
        w1: {type: worker, topic: work, input: {maps: {n: '{p1.output.data.n}'}}, job: {maps: {n: '{p1.output.data.n}'}}}
        c1: {type: cycle, ancestor: p1, input: {maps: {n: {'@pipe': [['{p1.output.data.n}', 1], ['{@math.add}']]}}}}
      transitions:
        t1: [{to: p1}]
        p1: [{to: w1}]
        w1:
          - to: c1
            conditions:
              match: [{expected: true, actual: {'@pipe': [['{p1.output.data.n}', 4], ['{@conditional.less_than}']]}}]
"""


async def test_a_cycle_goes_round_in_new_dimensions(begin: Begin) -> None:
    """Five passes, each in its own dimension and with its own data; the loop is neutral for the semaphore."""
    seen: list[tuple[str, int]] = []

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        seen.append((message["metadata"]["dad"], message["data"]["n"]))
        return {"data": {}}

    mesh = await begin(CYCLE, work=work)
    out = await mesh.pubsub("t", {"id": "loop"}, timeout=100)
    assert out["data"] == {"n": 4}
    assert out["metadata"]["js"] == 0
    assert seen == [(f",0,{k},0", k) for k in range(5)]


HOT = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        p1: {type: hook, cycle: true, output: {maps: {n: 0}}}
        c1: {type: cycle, ancestor: p1, input: {maps: {n: {'@pipe': [['{p1.output.data.n}', 1], ['{@math.add}']]}}}}
        done: {type: hook, job: {maps: {n: '{p1.output.data.n}'}}}
      transitions:
        t1: [{to: p1}]
        p1:
          - to: c1
            conditions:
              match: [{expected: true, actual: {'@pipe': [['{p1.output.data.n}', '{t1.output.data.to}'], ['{@conditional.less_than}']]}}]
          - to: done
            conditions:
              match: [{expected: false, actual: {'@pipe': [['{p1.output.data.n}', '{t1.output.data.to}'], ['{@conditional.less_than}']]}}]
"""


async def test_a_long_loop_is_cut_into_steps(begin: Begin) -> None:
    """A thousand passes without any waiting are more than one step takes, and the count is exact."""
    mesh = await begin(HOT)
    assert (await mesh.pubsub("t", {"to": 1000}, timeout=100))["data"] == {"n": 1000}


INTERRUPT = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: self
      activities:
        t1: {type: trigger}
        i1: {type: interrupt, reason: enough, code: 411, throw: '{t1.output.data.throw}', job: {maps: {so: far}}}
        never: {type: hook, sleep: 3600}
      transitions: {t1: [{to: i1}, {to: never}]}
    - subscribes: other
      activities:
        t2: {type: trigger}
        i2: {type: interrupt, target: '{t2.output.data.target}', reason: stop it, job: {maps: {sent: true}}}
      transitions: {t2: [{to: i2}]}
    - subscribes: parent
      activities:
        t4: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        a4: {type: await, topic: sleeper, input: {maps: {id: '{t4.output.data.child}'}}}
      transitions: {t4: [{to: a4}]}
    - subscribes: sleeper
      activities:
        t3: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        s3: {type: hook, sleep: 3600}
        x3: {type: hook, sleep: 3600}
      transitions: {t3: [{to: s3}, {to: x3}]}
"""


async def test_an_interrupt_ends_its_own_job(begin: Begin) -> None:
    """With `throw` the waiter gets the error and its code, without it the data; other branches end too."""
    mesh = await begin(INTERRUPT)
    with pytest.raises(JobFailed, match="enough") as failed:
        await mesh.pubsub("self", {"throw": True})
    assert failed.value.code == 411
    assert await mesh.get_status(failed.value.job_id) == 2 - 1_000_000_000
    out = await mesh.pubsub("self", {"throw": False})
    assert out["data"] == {"so": "far"}
    assert out["metadata"]["js"] < -100_000_000


async def test_an_interrupt_ends_another_job_and_goes_on(begin: Begin, database: Database) -> None:
    """The target ends with 410 and status 2 − 10⁹, its timers go; the interrupting job completes."""
    mesh = await begin(INTERRUPT)
    waiting = asyncio.create_task(mesh.pubsub("sleeper", {"id": "z"}, timeout=100))
    await eventually(lambda: _exists(mesh, "z"))
    out = await mesh.pubsub("other", {"target": "z"}, timeout=100)
    assert out["data"] == {"sent": True}
    with pytest.raises(JobFailed, match="stop it") as failed:
        await waiting
    assert failed.value.code == 410
    assert await mesh.get_status("z") == -999_999_998
    left = await database.fetchval(f'select count(*) from "{database.schema}".engine_streams')
    assert left == 0


async def _exists(mesh: Any, jid: str) -> bool:
    try:
        await mesh.get_status(jid)
    except JobNotFound:
        return False
    return True


async def test_interrupt_from_outside(begin: Begin) -> None:
    """`interrupt` ends a job with 410; twice, or for nobody, it raises unless told to suppress."""
    mesh = await begin(INTERRUPT)
    waiting = asyncio.create_task(mesh.pubsub("sleeper", {"id": "y"}, timeout=100))
    await eventually(lambda: _exists(mesh, "y"))
    with pytest.raises(JobNotFound, match="runs 'sleeper'"):
        await mesh.interrupt("self", "y")
    assert await mesh.interrupt("sleeper", "y", {"reason": "by hand"}) is True
    with pytest.raises(JobFailed, match="by hand") as failed:
        await waiting
    assert failed.value.code == 410
    with pytest.raises(JobNotFound, match="already completed"):
        await mesh.interrupt("sleeper", "y")
    with pytest.raises(JobNotFound, match="not found"):
        await mesh.interrupt("sleeper", "nobody")
    assert await mesh.interrupt("sleeper", "nobody", suppress=True) is False


async def test_an_interruption_descends(begin: Begin) -> None:
    """With `descend` the awaited child ends as well; an interrupted child is an error of its parent's await."""
    mesh = await begin(INTERRUPT)
    await mesh.pub("parent", {"id": "p", "child": "c"})
    await eventually(lambda: _exists(mesh, "c"))
    await mesh.interrupt("parent", "p", {"descend": True})

    async def child_gone() -> bool:
        return await mesh.get_status("c") < 0

    await eventually(child_gone)
    waiting = asyncio.create_task(mesh.pubsub("parent", {"id": "p2", "child": "c2"}, timeout=100))
    await eventually(lambda: _exists(mesh, "c2"))
    await mesh.interrupt("sleeper", "c2")
    with pytest.raises(JobFailed) as failed:
        await waiting
    assert (failed.value.code, failed.value.job_id) == (410, "p2")
    assert isinstance(failed.value.__cause__, JobFailed)
    assert failed.value.__cause__.job_id == "c2"


async def test_a_timeout_is_504_and_the_job_goes_on(begin: Begin, database: Database) -> None:
    """`pubsub` gives up waiting with code 504 and the job's id; the job's own end is untouched."""
    mesh = await begin(SLEEP)
    with pytest.raises(JobTimeout) as late:
        await mesh.pubsub("t", {"seconds": 60}, timeout=0.05)
    assert late.value.code == 504
    assert await mesh.get_status(late.value.job_id) == 1
    await ring(database, late.value.job_id)
    await eventually(lambda: _done(mesh, late.value.job_id))


async def test_a_mapping_that_cannot_be_evaluated_fails_the_job(begin: Begin) -> None:
    """A pipe that refuses its arguments ends the job with an error that names the activity."""
    document = WORKER.replace(
        "['{$self.output.data.y}', 2], ['{@math.multiply}']",
        "['{$self.output.data.y}'], ['{@string.toUpperCase}']",
    )
    mesh = await begin(document, work__do=lambda_echo_y)
    with pytest.raises(JobFailed, match="'w1'") as failed:
        await mesh.pubsub("t", {"a": 1}, timeout=100)
    assert failed.value.code == 500


RETRY = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        w1: {type: worker, topic: work, job: {maps: {tries: '{$self.output.data.tries}'}}}
      transitions: {t1: [{to: w1}]}
"""


@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_what_a_callback_raises_is_tried_again(
    begin: Begin, database: Database, attempts: int
) -> None:
    """N attempts are N executions, each a row; the failed ones stay with their errors, the last as dead letter."""
    calls: list[int] = []

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        calls.append(message["metadata"]["try"])
        raise ApplicationError(f"no {len(calls)}")

    retry = {"maximumAttempts": attempts, "backoffCoefficient": 1, "initialInterval": "10ms"}
    mesh = await begin(RETRY, retry=retry, work=work)
    with pytest.raises(JobFailed, match=f"no {attempts}") as failed:
        await mesh.pubsub("t", timeout=100)
    assert failed.value.code == 500
    assert "ApplicationError" in failed.value.stack
    assert calls == list(range(attempts))
    rows = await database.fetch(
        f"select retry_attempt, max_retry_attempts, dead_lettered_at is not null as dead, error->>'message' as error"
        f' from "{database.schema}".worker_streams order by id'
    )
    assert [tuple(r) for r in rows] == [
        (n, attempts, n == attempts - 1, f"no {n + 1}") for n in range(attempts)
    ]


async def test_a_retry_may_succeed(begin: Begin) -> None:
    """A callback that fails once and then answers makes the job succeed."""
    calls: list[int] = []

    async def work(_message: dict[str, Any]) -> dict[str, Any]:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("not yet")
        return {"data": {"tries": len(calls)}}

    mesh = await begin(RETRY, retry={"backoffCoefficient": 1, "initialInterval": "10ms"}, work=work)
    assert (await mesh.pubsub("t", timeout=100))["data"] == {"tries": 2}


async def test_the_policy_in_force_stands_in_the_columns(begin: Begin, database: Database) -> None:
    """Unset is 3/10/120; an activity's own policy is kept as it is, even when it says the same."""
    document = RETRY.replace(
        "topic: work,",
        "topic: work, retry: {maximumAttempts: 5, backoffCoefficient: 2, maximumInterval: 300s},",
    )
    for app_id, text in (("app", RETRY), ("own", document.replace("id: app", "id: own"))):
        mesh = await begin(text, app_id=app_id)
        await mesh.pub("t")
    rows = await database.fetch(
        f"select max_retry_attempts, backoff_coefficient::int, maximum_interval_seconds::int"
        f' from "{database.schema}".worker_streams order by id'
    )
    assert [tuple(r) for r in rows] == [(3, 10, 120), (5, 2, 300)]


@pytest.mark.parametrize(
    "answer", ["text", {"datum": {}}, {"data": []}, {"data": {"x": {1, 2}}}, {"status": "odd"}]
)
async def test_an_answer_that_makes_no_sense_fails_the_job(begin: Begin, answer: Any) -> None:
    """A callback that returns something else than a message is told so, once and at once."""
    calls: list[int] = []

    async def work(_message: dict[str, Any]) -> Any:
        calls.append(1)
        return answer

    mesh = await begin(RETRY, work=work)
    with pytest.raises(JobFailed, match="work"):
        await mesh.pubsub("t", timeout=100)
    assert calls == [1]
