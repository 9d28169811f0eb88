"""Workers: order, sharing, waking, bounds of memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

import durable
from durable.client.client import Client
from durable.composition import connect
from durable.worker.worker import Worker
from tests.waiting import eventually

go = durable.Signal("go", int)


@durable.workflow
async def wait(n: int) -> int:
    """Adds what it is told."""
    return n + await go.receive()


@durable.workflow
async def nap(seconds: float) -> float:
    """How long it slept, by its own clock."""
    began = durable.now()
    await durable.sleep(seconds)
    return (durable.now() - began).total_seconds()


@pytest_asyncio.fixture
async def direct(dsn: str, client: Client) -> AsyncIterator[asyncpg.Connection]:
    """A connection that looks into the test's schema."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": client.namespace})
    yield connection
    await connection.close()


async def test_runs_of_a_higher_priority_go_first(client: Client) -> None:
    """Started before the worker came, they are begun by priority, then by age."""
    order: list[str] = []

    @durable.workflow
    async def note(word: str) -> None:
        order.append(word)

    handles = []
    for word, priority in [("low", -1), ("first", 0), ("second", 0), ("high", 5)]:
        handles.append(await client.start(note(word), priority=priority))
    async with Worker(client, workflows=[note], max_runs=1):
        for handle in handles:
            await handle.result(timeout=60)
    assert order == ["high", "first", "second", "low"]


async def test_activities_of_a_higher_priority_go_first(client: Client) -> None:
    """With one slot, what waits is taken by priority."""
    order: list[int] = []

    @durable.activity
    async def note(n: int) -> None:
        order.append(n)

    @durable.workflow
    async def fan() -> None:
        await asyncio.gather(
            *[note.options(priority=n % 3, task_queue="slow")(n) for n in range(9)]
        )

    async with Worker(client, workflows=[fan]):
        handle = await client.start(fan())

        async def all_wait() -> bool:
            return len((await handle.describe()).activities) == 9

        await eventually(all_wait)
        async with Worker(client, activities=[note], task_queue="slow", max_activities=1):
            await handle.result(timeout=60)
    assert [n % 3 for n in order] == [2, 2, 2, 1, 1, 1, 0, 0, 0]


async def test_two_workers_on_one_queue_share_its_work(client: Client) -> None:
    """Every run is done once, and what one worker has no room for is done by the other."""
    done: Counter[str] = Counter()
    both = asyncio.Event()

    def step_of(name: str) -> Any:
        @durable.activity(name="step")
        async def step(n: int) -> int:
            done[name] += 1
            if len(done) == 2:
                both.set()
            await both.wait()
            return n

        return step

    first, second = step_of("first"), step_of("second")

    @durable.workflow(name="job")
    async def job(n: int) -> int:
        return await first(n)

    async with await connect(client.dsn, namespace=client.namespace) as other:
        handles = await asyncio.gather(*[client.start(job(n)) for n in range(100)])
        async with (
            Worker(client, workflows=[job], activities=[first], max_activities=5, max_runs=20),
            Worker(other, workflows=[job], activities=[second], max_activities=5, max_runs=20),
        ):
            assert await asyncio.gather(*[h.result(timeout=60) for h in handles]) == list(
                range(100)
            )
    assert done.total() == 100
    assert set(done) == {"first", "second"}


@pytest.mark.usefixtures("no_net")
async def test_an_activity_on_another_queue_runs_on_that_queues_worker(client: Client) -> None:
    """The worker of the workflow need not know it; one without workflows serves it."""

    @durable.activity
    async def paint(word: str) -> str:
        return word.upper()

    @durable.workflow
    async def studio() -> list[str]:
        remote = paint.options(task_queue="gpu")
        return [await remote("a"), await remote("b")]

    async with (
        Worker(client, workflows=[studio]),
        Worker(client, activities=[paint], task_queue="gpu"),
    ):
        handle = await client.start(studio())
        assert await handle.result(timeout=60) == ["A", "B"]


async def test_a_worker_leaves_what_it_has_no_definition_for(client: Client) -> None:
    """The run waits for a worker that has one."""
    handle = await client.start(wait(1))
    async with Worker(client, workflows=[nap]):
        assert await client.execute(nap(0.01)) == pytest.approx(0.01)
        assert (await handle.describe()).worker is None
    async with Worker(client, workflows=[wait]):
        await handle.signal(go, 1)
        assert await handle.result(timeout=60) == 2


async def test_more_runs_wait_than_fit_into_memory(
    client: Client, direct: asyncpg.Connection
) -> None:
    """With room for 5 of 50 waiting runs, the others are given back; signals reach each of them."""
    async with Worker(client, workflows=[wait], max_runs=5) as worker:
        handles = await asyncio.gather(*[client.start(wait(n)) for n in range(50)])

        async def given_back() -> bool:
            free = (
                "select count(*) from worker_streams"
                " where reserved_by is null and visible_at > now()"
            )
            return await direct.fetchval(free) == 45

        await eventually(given_back)
        assert worker._started is not None
        assert len(worker._started.workflows.runs) == 5
        for handle in handles:
            await handle.signal(go, 100)
        results = await asyncio.gather(*[h.result(timeout=60) for h in handles])
    assert results == [n + 100 for n in range(50)]


@pytest.mark.usefixtures("no_net")
async def test_timers_of_runs_that_were_given_back_fire_when_they_are_due(client: Client) -> None:
    """50 timers, room for 5 runs: each fires, not before its time, and by no poll."""
    async with Worker(client, workflows=[nap], max_runs=5):
        handles = await asyncio.gather(*[client.start(nap(0.3 + n / 100)) for n in range(50)])
        naps = await asyncio.gather(*[h.result(timeout=60) for h in handles])
    assert all(slept >= 0.3 + n / 100 - 1e-5 for n, slept in enumerate(naps))


@pytest.mark.usefixtures("no_net")
async def test_a_result_comes_without_a_poll(client: Client) -> None:
    """Start to result, the worker idle: notifications alone bring each."""

    @durable.activity
    async def step() -> int:
        return 1

    @durable.workflow
    async def job() -> int:
        return await step()

    async with (
        await connect(client.dsn, namespace=client.namespace) as other,
        Worker(other, workflows=[job], activities=[step]),
    ):
        for _ in range(5):
            handle = await client.start(job())
            assert await handle.result(timeout=60) == 1


async def test_lost_notifications_cost_seconds_and_nothing_else(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every notification dropped, polls find starts, signals, results and ends."""

    @durable.activity
    async def step() -> int:
        return 1

    @durable.workflow
    async def job() -> int:
        return await step.options(task_queue="far")() + await go.receive()

    async def nothing(*_: object) -> None: ...

    async with (
        await connect(client.dsn, namespace=client.namespace) as one,
        await connect(client.dsn, namespace=client.namespace) as two,
    ):
        for each in (client, one, two):
            monkeypatch.setattr(each.services.announcer._notifier, "_send", nothing)
        async with (
            Worker(one, workflows=[job]),
            Worker(two, activities=[step], task_queue="far"),
        ):
            handle = await client.start(job())

            async def stepped() -> bool:
                return any(e.kind == "activity" for e in await handle.history())

            await eventually(stepped, within=30)
            await handle.signal(go, 1)
            assert await handle.result(timeout=60) == 2


async def test_a_stop_waits_for_what_runs_and_gives_back_the_rest(client: Client) -> None:
    """Within the grace period an activity ends and is recorded; the run goes on elsewhere."""
    began, may_end = asyncio.Event(), asyncio.Event()
    runs: list[str] = []

    @durable.activity
    async def slow(word: str) -> str:
        runs.append(word)
        began.set()
        await may_end.wait()
        return word

    @durable.workflow
    async def job() -> list[str]:
        return [await slow("a"), await slow("b")]

    worker = Worker(client, workflows=[job], activities=[slow], grace=60)
    await worker.start()
    handle = await client.start(job())
    await asyncio.wait_for(began.wait(), 60)
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    may_end.set()
    await asyncio.wait_for(stopping, 60)
    assert runs == ["a"]
    assert [e.name for e in await handle.history() if e.kind == "activity"] == ["slow"]
    async with Worker(client, workflows=[job], activities=[slow]):
        assert await handle.result(timeout=60) == ["a", "b"]
    assert runs == ["a", "b"]


async def test_what_a_worker_lacks_waits_and_is_said(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workflow that the queue's worker was not given waits for one that was; the log says so."""
    monkeypatch.setattr("durable.worker.poll.UNSERVED_EVERY", 1)
    connection = await asyncpg.connect(
        client.dsn, server_settings={"search_path": client.namespace}
    )
    handle = await client.start("nobody_has_this")
    await connection.execute("update worker_streams set visible_at = visible_at - interval '9 s'")
    await connection.close()

    async def said() -> bool:
        return "'nobody_has_this'" in caplog.text

    async with Worker(client, activities=[nothing_to_do]):
        await eventually(said)
    assert await handle.status() == "running"


@durable.activity
async def nothing_to_do() -> None:
    """Lets a worker have something."""
