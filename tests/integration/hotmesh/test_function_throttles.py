"""A throttle of an app holds for the workers of functions on the task queue with its name."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio

import durable
from durable.cli.run_reports import run_shown
from durable.client.client import Client
from durable.composition import connect
from durable.errors import ConfigurationError
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from durable.store.activities import ActivityStream, Attempt
from durable.store.announcer import Announcer
from durable.store.runs import RunStream
from durable.worker import timers
from durable.worker.worker import Worker
from tests.waiting import eventually

QUEUE = "orders"
WIDE, LONG = 5, 40

go = durable.Signal("go", int)


class Bench:
    """What activities did, and the gate at which they wait."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.times: list[float] = []
        self.gate = asyncio.Event()
        self.raises: Exception | None = None


bench = Bench()


@durable.activity
async def step(label: str, seconds: float = 0.0) -> str:
    """Notes its call."""
    bench.calls[label] += 1
    bench.times.append(asyncio.get_running_loop().time())
    await asyncio.sleep(seconds)
    return label


TWICE = durable.RetryPolicy(maximum_attempts=2, initial_interval=0.01, non_retryable=(KeyError,))


@durable.activity(retry=TWICE)
async def gated(label: str) -> str:
    """Waits at the gate; fails at the first attempt, if it is to."""
    bench.calls[label] += 1
    await bench.gate.wait()
    if bench.raises is not None and bench.calls[label] == 1:
        raise bench.raises
    return label


@durable.workflow
async def single(label: str) -> str:
    """One step."""
    return await step(label)


@durable.workflow
async def other(label: str) -> str:
    """One step, under another name."""
    return await step(label)


@durable.workflow
async def guarded(label: str) -> str:
    """One step that waits at the gate."""
    try:
        return await gated(label)
    except durable.ActivityFailed as error:
        return f"failed after {error.attempts}"


@durable.workflow
async def both(label: str) -> str:
    """Another step after the one at the gate."""
    return await gated(label) + await step(f"{label} after")


@durable.workflow
async def told() -> int:
    """A signal, then a timer."""
    found = await go.receive()
    await durable.sleep(0.05)
    return found


@durable.workflow
async def wide(label: str) -> int:
    """Several steps at once, many times over."""
    done = 0
    for n in range(LONG):
        labels = [f"{label}/{n}/{m}" for m in range(WIDE)]
        done += len(await asyncio.gather(*[step(x, random.random() / 200) for x in labels]))
    return done


WORKFLOWS: list[Any] = [single, other, guarded, both, told, wide]


@pytest.fixture(autouse=True)
def _bench() -> None:
    bench.__init__()  # type: ignore[misc]


@pytest_asyncio.fixture
async def mesh(client: Client) -> AsyncIterator[HotMesh]:
    """The app that the task queue is."""
    async with await HotMesh.init(app_id=QUEUE, engine={"connection": client}) as joined:
        yield joined


@pytest_asyncio.fixture
async def worker(client: Client) -> AsyncIterator[Worker]:
    """Serves the functions."""
    async with Worker(
        client, workflows=WORKFLOWS, activities=[step, gated], task_queue=QUEUE
    ) as serving:
        yield serving


async def _reserved(database: Database, kind: str = "turn") -> int:
    return int(
        await database.fetchval(
            f'select count(*) from "{database.schema}".worker_streams'
            f" where msg_type = '{kind}' and reserved_by is not null"
        )
    )


async def _passes(seconds: float) -> None:
    """Let others have so much time in which nothing is to happen."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    await eventually(lambda: loop.time() > end)


async def test_pauses_hold_every_worker_and_strand_nothing(
    client: Client, mesh: HotMesh, worker: Worker, database: Database
) -> None:
    """Two workers with runs of many steps: nothing moves in a pause; each step is done once."""
    async with (
        await connect(database.dsn, namespace=database.schema) as second,
        Worker(second, workflows=WORKFLOWS, activities=[step, gated], task_queue=QUEUE),
    ):
        handles = [await client.start(wide(f"w{n}"), task_queue=QUEUE) for n in range(20)]
        for reached in (100, 700, 1500, 2500):

            async def busy(reached: int = reached) -> bool:
                return sum(bench.calls.values()) > reached

            await eventually(busy)
            assert await mesh.throttle(throttle=-1)
            assert await _reserved(database) == 0

            async def no_attempt_runs() -> bool:
                return await _reserved(database, "activity") == 0

            await eventually(no_attempt_runs)
            before = bench.calls.total()
            assert before < 20 * LONG * WIDE, "there was nothing left to hold up"
            await _passes(0.5)
            assert bench.calls.total() == before
            assert await mesh.throttle(throttle=0)
        assert [await h.result(timeout=60) for h in handles] == [LONG * WIDE] * 20
    assert bench.calls.total() == 20 * LONG * WIDE
    assert set(bench.calls.values()) == {1}
    assert worker.task_queue == QUEUE


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize(
    "case",
    [
        (None, 1, "x"),
        (ValueError("once"), 2, "x"),
        (KeyError("never"), 1, "failed after 1"),
    ],
)
@pytest.mark.usefixtures("worker")
async def test_what_an_activity_has_begun_it_finishes_in_a_pause(
    client: Client, mesh: HotMesh, database: Database, monkeypatch: pytest.MonkeyPatch,
    *, written: bool, case: tuple[Exception | None, int, str],
) -> None:  # fmt: skip
    """Its run is given back at once, whether it had a row or not; its result waits in the inbox."""
    monkeypatch.setattr(timers, "FLUSH_AFTER", 0.0 if written else 60.0)
    bench.raises, calls, result = case
    handle = await client.start(guarded("x"), task_queue=QUEUE)
    await eventually(lambda: bench.calls["x"])
    if written:
        await eventually(lambda: _reserved(database, "activity"))
    assert await mesh.throttle(throttle=-1)
    assert await _reserved(database) == 0
    assert await _reserved(database, "activity") == 1
    bench.gate.set()

    async def answered() -> bool:
        return await _reserved(database, "activity") == 0

    await eventually(answered)
    await _passes(0.3)
    assert (await handle.describe()).state == "running"
    assert bench.calls["x"] == 1
    await mesh.throttle(throttle=0)
    assert await handle.result(timeout=30) == result
    assert bench.calls["x"] == calls


@pytest.mark.usefixtures("worker")
async def test_a_name_of_no_function_is_refused(mesh: HotMesh) -> None:
    """The error lists the workflows and activities, which a misspelt name may stand for."""
    with pytest.raises(
        ConfigurationError, match=r"has the topic 'stpe'; known: .*'single'.*'step'"
    ):
        await mesh.throttle(throttle=-1, topic="stpe")


async def test_what_waits_for_its_first_worker_can_be_paused(client: Client, mesh: HotMesh) -> None:
    """A started workflow is known by its run, as long as no worker has deployed its graph."""
    with pytest.raises(ConfigurationError, match="known: none"):
        await mesh.throttle(throttle=-1, topic="single")
    await client.start(single("a"), task_queue=QUEUE)
    assert await mesh.throttle(throttle=-1, topic="single")


@pytest.mark.usefixtures("worker")
async def test_a_pause_of_one_topic_leaves_the_others_alone(client: Client, mesh: HotMesh) -> None:
    """By a workflow's name its runs wait; by an activity's its attempts, those of held runs too."""
    assert await mesh.throttle(throttle=-1, topic="single")
    waiting = await client.start(single("a"), task_queue=QUEUE)
    assert await client.execute(other("b"), task_queue=QUEUE) == "b"
    held = await client.start(both("c"), task_queue=QUEUE)
    await eventually(lambda: bench.calls["c"])
    assert await mesh.throttle(throttle=-1, topic="step")
    bench.gate.set()
    await _passes(0.5)
    assert set(bench.calls) == {"b", "c"}
    assert await mesh.throttle(throttle=0, topic="step")
    assert await held.result(timeout=30) == "cc after"
    assert bench.calls["a"] == 0
    assert await mesh.throttle(throttle=0)
    assert await waiting.result(timeout=30) == "a"


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("by", ["topic", "guid"])
async def test_a_paused_activity_is_shown_as_paused(client: Client, mesh: HotMesh, by: str) -> None:
    """`durable show` and `pending` name the throttle: a worker of the queue is there."""
    held = await client.start(both("c"), task_queue=QUEUE)
    await eventually(lambda: bench.calls["c"])
    (guid,) = [r["engine_id"] for r in await mesh.roll_call() if "runs" in r]
    assert await mesh.throttle(throttle=-1, **{by: "step" if by == "topic" else guid})
    await client.start(single("a"), task_queue=QUEUE, id="waits")
    run = client.handle("waits")
    if by == "guid":
        assert (await run.describe()).paused
    else:

        async def shown() -> bool:
            return any("waits_for" in step for step in (await run.describe()).pending)

        await eventually(shown)
        report = "\n".join(map(str, run_shown(await run.describe(), await run.history())))
        assert "a throttle that pauses step on queue orders" in report
        assert "waiting for a worker" not in report
    bench.gate.set()
    assert await mesh.throttle(throttle=0)
    assert await run.result(timeout=30) == "a"
    assert await held.result(timeout=30) == "cc after"


@pytest.mark.usefixtures("worker")
async def test_a_delay_paces_claims(client: Client, mesh: HotMesh) -> None:
    """One row, then the rest; a step starts with its claim, and never in its run's process."""
    assert await mesh.throttle(throttle=100)
    handles = [await client.start(single(f"s{n}"), task_queue=QUEUE) for n in range(6)]
    assert [await h.result(timeout=60) for h in handles] == [f"s{n}" for n in range(6)]
    assert min(after - before for before, after in pairwise(bench.times)) > 0.09
    assert await mesh.throttle(throttle=0)
    handles = [await client.start(single(f"t{n}"), task_queue=QUEUE) for n in range(50)]
    await asyncio.gather(*[h.result(timeout=60) for h in handles])
    assert bench.times[-1] - bench.times[-50] < 4


@pytest.mark.usefixtures("worker")
async def test_signals_and_timers_wait_for_the_end_of_a_pause(
    client: Client, mesh: HotMesh, database: Database
) -> None:
    """They are accepted as ever; a run with a delay between its turns takes each by a claim."""
    paused = await client.start(told(), task_queue=QUEUE)
    await eventually(lambda: _reserved(database))
    assert await mesh.throttle(throttle=-1, scope="workers")
    late = await client.start(told(), task_queue=QUEUE)
    assert (await paused.describe()).paused
    report = run_shown(await late.describe(), await late.history())
    assert "Next: a throttle pauses told on queue orders" in "\n".join(map(str, report))
    await paused.signal(go, 1)
    await late.signal(go, 2)
    await _passes(0.3)
    assert await _reserved(database) == 0
    assert await mesh.throttle(throttle=20)
    assert (await paused.result(timeout=30), await late.result(timeout=30)) == (1, 2)


@pytest.mark.usefixtures("worker")
async def test_one_worker_of_two_is_paused_by_its_guid(
    client: Client, mesh: HotMesh, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As roll call names it; the throttle goes with the worker."""
    taken: list[Any] = []
    take = ActivityStream.take

    async def taking(stream: ActivityStream, *args: Any) -> list[Attempt]:
        found = await take(stream, *args)
        taken.extend(found)
        return found

    monkeypatch.setattr(ActivityStream, "take", taking)  # of workers that start from now on

    async def workers() -> dict[str, int]:
        rows = await mesh.roll_call()
        return {str(r["engine_id"]): int(r["throttle"]) for r in rows if "runs" in r}

    (first,) = await eventually(workers)
    async with (
        await connect(database.dsn, namespace=database.schema) as second,
        Worker(second, workflows=[single], activities=[step], task_queue=QUEUE) as brief,
    ):

        async def two() -> bool:
            return len(await workers()) == 2

        await eventually(two)
        (guid,) = (await workers()).keys() - {first}
        with pytest.raises(durable.ConfigurationError, match="as a whole by its guid"):
            await mesh.throttle(throttle=-1, guid=guid, topic="x")
        assert await mesh.throttle(throttle=-1, guid=guid)
        assert await workers() == {first: 0, guid: -1}
        for n in range(20):
            await client.execute(single(f"s{n}"), task_queue=QUEUE)
        assert brief._started is not None
        assert (len(brief._started.workflows.runs), taken) == (0, [])
    assert await database.fetchval(f'select count(*) from "{database.schema}".throttles') == 0


@pytest.mark.usefixtures("worker")
async def test_a_pause_holds_where_no_notification_arrives(
    client: Client, mesh: HotMesh, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claims read it, and a poll within a second has the runs leave; so does the end of it."""
    handle = await client.start(guarded("x"), task_queue=QUEUE)
    await eventually(lambda: bench.calls["x"])
    monkeypatch.setattr("durable.worker.poll.REST", 60.0)
    monkeypatch.setattr(Announcer, "queue", lambda *_args, **_more: None)
    await mesh.throttle(throttle=-1)

    async def free() -> bool:
        return await _reserved(database) == 0

    await eventually(free, within=5)
    bench.gate.set()
    await mesh.throttle(throttle=0)
    assert await handle.result(timeout=20) == "x"


async def test_a_claim_of_a_worker_that_heard_of_nothing_takes_nothing_paused(
    client: Client, mesh: HotMesh, database: Database
) -> None:
    """The claim itself leaves paused names out, whatever its worker knows; others it takes."""
    for workflow in (single, other):
        await client.start(workflow("x"), task_queue=QUEUE)
    stream, names = RunStream(database), ["single", "other"]
    await mesh.throttle(throttle=-1)
    assert await stream.claim(7, QUEUE, names, 10) == []
    look = await stream.look(7, QUEUE, names, ["step"])
    assert (look.turns, look.throttles) == (False, {"single": -1, "other": -1, "step": -1})
    await mesh.throttle(throttle=0, scope="workers")
    await mesh.throttle(throttle=-1, topic="single")
    assert [c.workflow for c in await stream.claim(7, QUEUE, names, 10)] == ["other"]
    await mesh.throttle(throttle=0)
    assert [c.workflow for c in await stream.claim(7, QUEUE, names, 10)] == ["single"]
    assert (await stream.look(7, QUEUE, names, ["step"])).throttles == {}


async def test_a_worker_that_starts_in_a_pause_takes_nothing(client: Client, mesh: HotMesh) -> None:
    """The pause is stored: nobody has to be there when it is set."""
    assert await mesh.throttle(throttle=-1)
    handle = await client.start(single("x"), task_queue=QUEUE)
    async with Worker(client, workflows=[single], activities=[step], task_queue=QUEUE):
        await _passes(0.5)
        assert bench.calls.total() == 0
        assert await mesh.throttle(throttle=0)
        assert await handle.result(timeout=30) == "x"
