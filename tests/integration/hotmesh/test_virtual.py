"""Virtual functions: calls, what is kept of them, and what every caller and callback sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from importlib import resources
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio

from durable.errors import ConfigurationError, JobFailed, JobTimeout, PayloadError
from durable.hotmesh.mesh import HotMesh
from durable.hotmesh.virtual.virtual import APP, Virtual
from durable.postgres.database import Database
from durable.protocol.retry import RetryPolicy
from tests.waiting import eventually

Join = Callable[..., Awaitable[Virtual]]

AT_ONCE = {"initialInterval": 0, "backoffCoefficient": 1}


@pytest_asyncio.fixture
async def join(database: Database) -> AsyncIterator[Join]:
    """Gives a function that makes one more `Virtual`, stopped at the end."""
    async with AsyncExitStack() as stack:

        async def join() -> Virtual:
            virtual = await Virtual.init(connection=database.dsn, namespace=database.schema)
            stack.push_async_callback(virtual.stop, 0)
            return virtual

        yield join


class Counter:
    """A function that counts its calls, and says how many there were."""

    def __init__(self) -> None:
        self.calls = 0
        self.errors: list[Exception] = []
        self.go = asyncio.Event()
        self.go.set()
        self.begun = asyncio.Event()

    async def __call__(self, *args: Any) -> dict[str, Any]:
        self.calls += 1
        self.begun.set()
        await self.go.wait()
        if self.errors:
            raise self.errors.pop(0)
        return {"call": self.calls, "args": list(args)}


# --- connect and exec -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 0, "", [], {}, {"a": [1, None, "ü"]}, "x" * 20_000])
async def test_what_goes_in_comes_out(join: Join, value: Any) -> None:
    """Arguments reach the function one by one, and what it returns its caller, unchanged."""
    virtual = await join()

    async def same(first: Any, second: Any = 2) -> Any:
        assert second == 2
        return first

    await virtual.connect(topic="same", callback=same)
    assert await virtual.exec(topic="same", args=[value]) == value


async def test_any_process_answers(join: Join) -> None:
    """A caller needs no function of its own: who is connected answers."""
    here, there = await join(), await join()
    await there.connect(topic="count", callback=Counter())
    assert await here.exec(topic="count", args=[1]) == {"call": 1, "args": [1]}
    assert await here.exec(topic="count", args=[1]) == {"call": 2, "args": [1]}


async def test_a_topic_that_nobody_serves_times_out(join: Join) -> None:
    """Without anybody connected there is error 504; the call stands until somebody is."""
    virtual, counter = await join(), Counter()
    with pytest.raises(JobTimeout) as caught:
        await virtual.exec(topic="count", timeout=0.1)
    assert caught.value.code == 504
    with pytest.raises(JobTimeout):
        await virtual.exec(topic="count", id="k", ttl=10, timeout=0.1)
    with pytest.raises(JobTimeout):  # it waits for the one that there is
        await virtual.exec(topic="count", id="k", ttl=10, timeout=0.1)
    with pytest.raises(JobTimeout):
        await virtual.flush(topic="count", id="k", timeout=0.1)
    await virtual.connect(topic="count", callback=counter)
    await virtual.exec(topic="count", id="k", ttl=10)
    assert counter.calls == 2


async def test_the_same_topic_twice(join: Join) -> None:
    """Connecting again changes nothing; another function or policy on the topic is refused."""
    virtual, counter = await join(), Counter()
    await virtual.connect(topic="count", callback=counter)
    await virtual.connect(topic="count", callback=counter)
    with pytest.raises(ConfigurationError, match="is connected to"):
        await virtual.connect(topic="count", callback=Counter())
    with pytest.raises(ConfigurationError, match="is connected to"):
        await virtual.connect(topic="count", callback=counter, retry=RetryPolicy())
    assert (await virtual.exec(topic="count"))["call"] == 1


async def no_coroutine() -> None:
    """Something to be called."""


REFUSED = [
    ("connect", {"topic": "", "callback": no_coroutine}, "topic="),
    ("connect", {"topic": ".plan", "callback": no_coroutine}, "not beginning with a dot"),
    ("connect", {"topic": "a b", "callback": no_coroutine}, "no blanks"),
    ("connect", {"topic": "t", "callback": print}, "an async function"),
    ("connect", {"topic": "t", "callback": no_coroutine, "retry": {"x": 1}}, "unknown options"),
    ("connect", {"topic": "t", "callback": no_coroutine, "concurrency": 0}, "1 or more"),
    ("exec", {"topic": "t", "ttl": 5}, "give one"),
    ("exec", {"topic": "t", "flush": True}, "give one"),
    ("exec", {"topic": "t", "id": "k"}, "for how long"),
    ("exec", {"topic": "t", "id": "k", "ttl": 0}, "for how long"),
    ("exec", {"topic": "t", "id": "", "ttl": 1}, "not empty"),
    ("exec", {"topic": "t", "timeout": -1}, "not negative"),
    ("flush", {"topic": "t", "id": 5}, "must be text"),
    ("cron", {"topic": "t", "id": "", "interval": 1}, "not empty"),
    ("cron", {"topic": "t", "id": "k", "interval": "often"}, "no duration"),
    ("cron", {"topic": "t", "id": "k", "interval": "9 9 9 * 13"}, "not a schedule"),
    ("cron", {"topic": "t", "id": "k", "interval": 1, "max_cycles": 0}, "1 or more"),
    ("cron", {"topic": "t", "id": "k", "interval": 1, "delay": -1}, "not negative"),
    ("cron", {"topic": "t", "id": "k", "interval": "@daily", "time_zone": "Moon"}, "no such time"),
    ("interrupt", {"topic": "a b", "id": "k"}, "no blanks"),
]


async def test_what_makes_no_sense_is_refused(join: Join) -> None:
    """Bad options are refused at once, with what would be right, and leave nothing behind."""
    virtual = await join()
    for method, options, reason in REFUSED:
        with pytest.raises(ConfigurationError, match=reason):
            await getattr(virtual, method)(**options)
    with pytest.raises(PayloadError):
        await virtual.exec(topic="t", args=[object()])
    await virtual.connect(topic="t", callback=no_coroutine)
    assert await virtual.exec(topic="t") is None


async def test_the_context_of_a_call(join: Join) -> None:
    """A callback learns topic, job, attempt and message of its call; nobody else does."""
    virtual, seen = await join(), []

    async def look(fails: int) -> None:
        seen.append(Virtual.get_context())
        if len(seen) <= fails:
            raise ValueError("once")

    await virtual.connect(topic="look", callback=look, retry=AT_ONCE)
    await virtual.exec(topic="look", args=[1])
    await asyncio.gather(*(virtual.exec(topic="look", args=[0]) for _ in range(3)))
    first, second, *others = seen
    assert (first.topic, first.workflow_name, first.tick) == ("look", "call", None)
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.workflow_id == second.workflow_id
    assert first.dimension == second.dimension
    assert len({c.workflow_id for c in seen}) == 4
    assert len({c.guid for c in seen}) == 5
    assert {c.attempt for c in others} == {1}
    with pytest.raises(ConfigurationError, match="while they run"):
        virtual.get_context()


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempts", [1, 3, 5])
async def test_a_failing_function_is_tried_as_often_as_its_policy_says(
    join: Join, attempts: int
) -> None:
    """With 3 or 5 attempts a function runs so often, ever later, and its last error is raised."""
    virtual, times = await join(), []
    clock = asyncio.get_running_loop().time

    async def fail() -> None:
        times.append(clock())
        raise ValueError(f"attempt {len(times)}")

    policy = RetryPolicy(attempts, backoff_coefficient=2, initial_interval=0.02)
    await virtual.connect(topic="fail", callback=fail, retry=policy)
    with pytest.raises(JobFailed, match=f"attempt {attempts}") as caught:
        await virtual.exec(topic="fail")
    assert caught.value.code == 500
    assert "ValueError" in caught.value.stack
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) == attempts
    for retry, gap in enumerate(gaps, start=1):
        assert gap >= policy.delay(retry)


async def test_a_function_is_tried_three_times_unless_told_otherwise(
    join: Join, database: Database
) -> None:
    """The default is 3 attempts with 2 and 4 seconds between, and the columns say so."""
    virtual, counter = await join(), Counter()
    counter.errors = [ValueError("no")]
    await virtual.connect(topic="count", callback=counter)
    calling = asyncio.create_task(virtual.exec(topic="count"))
    retry = (
        f"select max_retry_attempts, backoff_coefficient::float8, maximum_interval_seconds::float8"
        f' from "{database.schema}".worker_streams where retry_attempt = 1'
    )
    (row,) = await eventually(lambda: database.fetch(retry))
    assert tuple(row) == (3, 2, 30)
    calling.cancel()


async def test_an_error_keeps_its_code(join: Join) -> None:
    """What the function raises with a code of its own reaches the caller with it."""
    virtual, counter = await join(), Counter()
    error = ValueError("gone")
    error.code = 404  # type: ignore[attr-defined]
    counter.errors = [error]
    await virtual.connect(topic="count", callback=counter, retry={"maximumAttempts": 1})
    with pytest.raises(JobFailed) as caught:
        await virtual.exec(topic="count")
    assert caught.value.code == 404


# --- results that are kept ------------------------------------------------------------------------


async def test_a_result_is_kept_under_its_key(join: Join) -> None:
    """One key is answered from memory, in any process; another key or topic is another call."""
    here, there = await join(), await join()
    counter, other = Counter(), Counter()
    await here.connect(topic="count", callback=counter)
    await here.connect(topic="other", callback=other)
    first = await here.exec(topic="count", args=[1], id="k", ttl="1 min")
    assert await here.exec(topic="count", args=[2], id="k", ttl="1 min") == first
    assert await there.exec(topic="count", id="k", ttl=60) == first
    assert (await here.exec(topic="count", id="k2", ttl=60))["call"] == 2
    assert (await here.exec(topic="other", id="k", ttl=60))["call"] == 1
    assert (await here.exec(topic="count"))["call"] == 3  # without a key nothing is kept


async def test_a_result_is_kept_for_its_time(join: Join) -> None:
    """When the time is over, the function is called anew, and its id needs no clearing."""
    virtual, counter = await join(), Counter()
    await virtual.connect(topic="count", callback=counter)
    for _ in range(2):
        assert (await virtual.exec(topic="count", id="long", ttl=60))["call"] == 1
    assert (await virtual.exec(topic="count", id="k", ttl=0.5))["call"] == 2

    async def anew() -> bool:
        return (await virtual.exec(topic="count", id="k", ttl=60))["call"] == 3

    await eventually(anew)


async def test_flush_forgets_what_is_kept(join: Join) -> None:
    """After a flush the function is called anew, and `flush=True` does both at once."""
    virtual, counter = await join(), Counter()
    await virtual.connect(topic="count", callback=counter)
    assert await virtual.flush(topic="count", id="k") is False
    assert (await virtual.exec(topic="count", id="k", ttl=60))["call"] == 1
    assert await virtual.flush(topic="count", id="k") is True
    assert await virtual.flush(topic="count", id="k") is False
    assert (await virtual.exec(topic="count", id="k", ttl=60))["call"] == 2
    assert (await virtual.exec(topic="count", id="k", ttl=60, flush=True))["call"] == 3
    assert (await virtual.exec(topic="count", id="k", ttl=60))["call"] == 3


async def test_calls_with_one_key_run_once(join: Join) -> None:
    """Twenty callers in two processes share one call, and all get its result."""
    here, there = await join(), await join()
    counter = Counter()
    counter.go.clear()
    await there.connect(topic="count", callback=counter)
    calls = [
        asyncio.create_task(virtual.exec(topic="count", args=[n], id="k", ttl=60))
        for n in range(10)
        for virtual in (here, there)
    ]
    await counter.begun.wait()
    late = asyncio.create_task(here.exec(topic="count", id="k", ttl=60))
    counter.go.set()
    results = await asyncio.gather(*calls, late)
    assert counter.calls == 1
    assert all(result == results[0] for result in results)


async def test_who_flushes_is_not_served_what_was_begun_before(join: Join) -> None:
    """A flush during a call waits for its end, drops the result, and costs its caller nothing."""
    virtual, counter = await join(), Counter()
    counter.go.clear()
    await virtual.connect(topic="count", callback=counter)
    running = asyncio.create_task(virtual.exec(topic="count", id="k", ttl=60))
    await counter.begun.wait()
    fresh = asyncio.create_task(virtual.exec(topic="count", id="k", ttl=60, flush=True))
    counter.go.set()
    assert (await running)["call"] == 1
    assert (await fresh)["call"] == 2


async def test_an_error_is_not_kept(join: Join) -> None:
    """All who wait for a call that fails get its error; the next call runs the function anew."""
    here, there = await join(), await join()
    counter = Counter()
    counter.errors = [ValueError("no")]
    counter.go.clear()
    await here.connect(topic="count", callback=counter, retry={"maximumAttempts": 1})
    one = asyncio.create_task(here.exec(topic="count", id="k", ttl=60))
    await counter.begun.wait()
    two = asyncio.create_task(there.exec(topic="count", id="k", ttl=60))

    async def waits() -> bool:
        return bool(there._calls._waits)

    await eventually(waits)
    counter.go.set()
    results = await asyncio.gather(one, two, return_exceptions=True)
    assert [str(result) for result in results] == ["no", "no"]
    assert counter.calls == 1
    assert (await there.exec(topic="count", id="k", ttl=60))["call"] == 2


# --- the app behind it ----------------------------------------------------------------------------


async def test_many_may_come_at_once(join: Join) -> None:
    """Four that connect to an empty namespace at the same moment all find the app there."""
    virtuals = await asyncio.gather(*(join() for _ in range(4)))
    counter = Counter()
    await asyncio.gather(*(v.connect(topic="count", callback=counter) for v in virtuals))
    await asyncio.gather(*(v.exec(topic="count") for v in virtuals for _ in range(5)))
    assert counter.calls == 20
    assert await virtuals[0]._mesh.active_version() == "1"


async def test_who_is_older_leaves_a_later_version_in_place(join: Join, database: Database) -> None:
    """Versions are compared as numbers: 10 is later than 1, and is not put back."""
    virtual = await join()
    text = (await virtual._mesh.plan(_document()))["app"]
    await virtual._mesh.deploy({"app": {**text, "version": "10"}})
    await virtual._mesh.activate("10")
    again = await join()
    assert await again._mesh.active_version() == "10"
    await again.connect(topic="count", callback=Counter())
    assert (await virtual.exec(topic="count"))["call"] == 1
    assert isinstance(virtual._mesh, HotMesh)
    assert virtual._mesh.app_id == APP
    assert virtual._mesh.namespace == database.schema


def _document() -> str:
    return resources.files("durable.hotmesh.virtual").joinpath("app.yaml").read_text("utf-8")
