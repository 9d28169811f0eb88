"""Attempts, retries and their policy; limits in time; activities on threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

import durable
from durable.client.client import Client
from durable.worker.worker import Worker
from tests.waiting import eventually


class CardDeclinedError(Exception):
    """The user's own exception."""


@pytest_asyncio.fixture
async def rows(dsn: str, client: Client) -> AsyncIterator[Callable[[str], Any]]:
    """Asks the namespace's tables a query, such as "select … from worker_streams …"."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": client.namespace})

    async def ask(query: str) -> list[asyncpg.Record]:
        return await connection.fetch(query)

    yield ask
    await connection.close()


QUICK = durable.RetryPolicy(
    maximum_attempts=5, backoff_coefficient=2, maximum_interval="300s", initial_interval=0.02
)


@durable.workflow
async def pay(amount: int) -> str:
    """One payment."""
    return await charge(amount)


@durable.activity(retry=QUICK)
async def charge(amount: int) -> str:
    """Fails twice, then works; see `failures`."""
    failures.append(len(failures) + 1)
    if len(failures) < 3:
        raise CardDeclinedError(f"attempt {len(failures)}")
    return f"paid {amount}"


failures: list[int] = []


POLICY_COLUMNS = """
    select max_retry_attempts, backoff_coefficient, maximum_interval_seconds, retry_attempt,
    visible_at,
        created_at, expired_at, error ->> 'message' as message
    from worker_streams where topic = 'charge' order by retry_attempt
"""


@pytest.mark.parametrize("path", ["fast", "slow"])
async def test_each_attempt_is_a_row_that_shows_the_policy_in_force(
    client: Client, rows: Callable[[str], Any], path: str
) -> None:
    """While a payment is flaky, select shows its policy and one row per attempt, on both paths."""
    failures.clear()
    later = charge.options(
        retry=durable.RetryPolicy(
            maximum_attempts=5, backoff_coefficient=3, maximum_interval="300s", initial_interval=30
        ),
        task_queue="payments" if path == "slow" else None,
    )

    @durable.workflow(name="pay")
    async def flaky(amount: int) -> str:
        return await later(amount)

    async with (
        Worker(client, workflows=[flaky], activities=[charge]),
        Worker(client, activities=[charge], task_queue="payments"),
    ):
        await client.start(flaky(5), id="p")

        async def two_rows() -> list[asyncpg.Record]:
            found = await rows(POLICY_COLUMNS)
            return found if len(found) == 2 else []

        first, second = await eventually(two_rows)
    for row in (first, second):
        assert row["max_retry_attempts"] == 5
        assert row["backoff_coefficient"] == 3
        assert row["maximum_interval_seconds"] == 300
    assert (first["retry_attempt"], second["retry_attempt"]) == (0, 1)
    assert first["expired_at"] is not None
    assert first["message"] == "attempt 1"
    assert second["expired_at"] is None
    delay = (second["visible_at"] - first["expired_at"]).total_seconds()
    assert delay == pytest.approx(30, abs=10)  # what the commit took lies between


@pytest.mark.parametrize("slots", [100, 1])
async def test_a_flaky_activity_is_tried_until_it_works(
    client: Client, rows: Callable[[str], Any], slots: int
) -> None:
    """Two failures, then a result; the failed attempts stay as rows with their errors."""
    failures.clear()
    async with Worker(client, workflows=[pay], activities=[charge], max_activities=slots):
        assert await client.execute(pay(7), id="p") == "paid 7"
    assert failures == [1, 2, 3]
    found = await rows(POLICY_COLUMNS)
    assert [(r["retry_attempt"], r["message"]) for r in found] == [
        (0, "attempt 1"),
        (1, "attempt 2"),
    ]
    assert {(r["max_retry_attempts"], r["backoff_coefficient"]) for r in found} == {(5, 2)}


@pytest.mark.usefixtures("no_net")
@pytest.mark.parametrize("queue", [None, "payments"])
async def test_a_retry_comes_when_it_is_due_and_not_with_the_next_poll(
    client: Client, queue: str | None
) -> None:
    """Delays of 20 and 40 ms are waited out, by alarms alone: here, and on another queue."""
    failures.clear()
    elsewhere = charge.options(task_queue=queue)

    @durable.workflow(name="pay")
    async def flaky(amount: int) -> str:
        return await elsewhere(amount)

    async with (
        Worker(client, workflows=[flaky], activities=[charge]),
        Worker(client, activities=[charge], task_queue="payments"),
    ):
        began = time.monotonic()
        handle = await client.start(flaky(7))
        assert await handle.result(timeout=60) == "paid 7"
    assert time.monotonic() - began >= 0.06


async def test_the_last_failure_reaches_the_workflow_with_its_cause(client: Client) -> None:
    """`ActivityFailed` carries the user's exception, the count of attempts and the traceback."""
    seen: list[durable.ActivityFailed] = []

    @durable.activity(retry=durable.RetryPolicy(maximum_attempts=2, initial_interval=0.01))
    async def decline() -> None:
        raise CardDeclinedError("no")

    @durable.workflow
    async def hopeful() -> None:
        try:
            await decline()
        except durable.ActivityFailed as error:
            seen.append(error)
            raise

    async with Worker(client, workflows=[hopeful], activities=[decline]):
        with pytest.raises(durable.WorkflowFailed) as caught:
            await client.execute(hopeful(), id="h")
        assert await client.handle("h").status() == "failed"
    (error,) = seen
    assert error.attempts == 2
    assert error.name == "decline"
    assert isinstance(error.cause, CardDeclinedError)
    assert "decline" in "".join(error.cause.__notes__)
    assert isinstance(caught.value.cause, durable.ActivityFailed)
    assert isinstance(caught.value.cause.cause, CardDeclinedError)


@pytest.mark.parametrize("by", ["type", "name", "error"])
async def test_what_is_not_retryable_is_not_retried(client: Client, by: str) -> None:
    """By type, by name, or because the ApplicationError says so: one attempt and no more."""
    attempts: list[int] = []
    never: Any = {"type": (CardDeclinedError,), "name": ("Declined",), "error": ()}[by]

    @durable.activity(
        retry=durable.RetryPolicy(maximum_attempts=4, initial_interval=0.01, non_retryable=never)
    )
    async def decline() -> None:
        attempts.append(1)
        if by == "type":
            raise CardDeclinedError("no")
        raise durable.ApplicationError(
            "no", type="Declined", non_retryable=by == "error", details={"a": 1}
        )

    @durable.workflow
    async def hopeful() -> Any:
        try:
            await decline()
        except durable.ActivityFailed as error:
            return [error.attempts, getattr(error.cause, "details", None)]

    async with Worker(client, workflows=[hopeful], activities=[decline]):
        result = await client.execute(hopeful())
    assert attempts == [1]
    assert result == [1, None if by == "type" else {"a": 1}]


async def test_an_error_may_name_its_own_delay(client: Client) -> None:
    """`next_retry_delay` goes before the policy's hour."""
    attempts: list[int] = []

    @durable.activity(retry=durable.RetryPolicy(maximum_attempts=2, initial_interval="1 hour"))
    async def busy() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise durable.ApplicationError("later", next_retry_delay=0.01)
        return "done"

    @durable.workflow
    async def patient() -> str:
        return await busy()

    async with Worker(client, workflows=[patient], activities=[busy]):
        handle = await client.start(patient())
        assert await handle.result(timeout=60) == "done"


async def test_one_attempt_means_one(client: Client) -> None:
    """`maximum_attempts=1`: a failure is the step's failure, at once."""
    attempts: list[int] = []

    @durable.activity(retry=durable.RetryPolicy(maximum_attempts=1))
    async def once() -> None:
        attempts.append(1)
        raise CardDeclinedError("no")

    @durable.workflow
    async def single() -> int:
        try:
            await once()
        except durable.ActivityFailed as error:
            return error.attempts
        return 0

    async with Worker(client, workflows=[single], activities=[once]):
        assert await client.execute(single()) == 1
    assert attempts == [1]


async def test_a_slow_attempt_is_cancelled_and_tried_again(client: Client) -> None:
    """`start_to_close` limits one attempt; the user's code is told by a CancelledError."""
    cancelled: list[int] = []

    @durable.activity(
        start_to_close_timeout=0.05,
        retry=durable.RetryPolicy(maximum_attempts=2, initial_interval=0.01),
    )
    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    @durable.workflow
    async def hopeful() -> Any:
        try:
            await hang()
        except durable.ActivityTimeout as error:
            return [error.kind, error.attempts]

    async with Worker(client, workflows=[hopeful], activities=[hang]):
        assert await client.execute(hopeful()) == ["start_to_close", 2]
    assert cancelled == [1, 1]


async def test_the_whole_step_has_a_limit_too(client: Client) -> None:
    """`schedule_to_close` ends the step whatever attempts are left."""

    @durable.activity(
        schedule_to_close_timeout=0.1,
        retry=durable.RetryPolicy(
            maximum_attempts=1000, backoff_coefficient=1, initial_interval=0.01
        ),
    )
    async def hang() -> None:
        await asyncio.Event().wait()

    @durable.workflow
    async def hopeful() -> str:
        try:
            await hang()
        except durable.ActivityTimeout as error:
            return error.kind
        return ""

    async with Worker(client, workflows=[hopeful], activities=[hang]):
        assert await client.execute(hopeful()) == "schedule_to_close"


@pytest.mark.parametrize("option", ["schedule_to_start_timeout", "schedule_to_close_timeout"])
async def test_a_step_that_no_worker_takes_times_out(client: Client, option: Any) -> None:
    """Where no worker serves the queue, the limits hold all the same, and the row says so."""

    @durable.activity
    async def elsewhere() -> None: ...

    @durable.workflow
    async def hopeful() -> Any:
        try:
            await elsewhere.options(task_queue="nobody", **{option: 0.1})()
        except durable.ActivityTimeout as error:
            return error.kind

    async with Worker(client, workflows=[hopeful]):
        handle = await client.start(hopeful())
        assert await handle.result(timeout=60) == option.removesuffix("_timeout")


async def test_a_step_that_waits_too_long_for_a_worker_times_out_when_one_comes(
    client: Client,
) -> None:
    """An attempt that is claimed later than `schedule_to_start` allows is not run."""
    ran: list[int] = []

    @durable.activity(schedule_to_start_timeout="1 hour")
    async def late() -> None:
        ran.append(1)

    @durable.workflow
    async def hopeful() -> str:
        try:
            await late.options(task_queue="late")()
        except durable.ActivityTimeout as error:
            return error.kind
        return "ran"

    async with Worker(client, workflows=[hopeful]):
        handle = await client.start(hopeful(), id="h")
        await eventually(lambda: _has_activities(client, "h"))
        connection = await asyncpg.connect(client.dsn)
        await connection.execute(
            f"update {client.namespace}.worker_streams"
            " set visible_at = visible_at - interval '2 hours'"
            " where msg_type = 'activity'"
        )
        await connection.close()
        async with Worker(client, activities=[late], task_queue="late"):
            assert await handle.result(timeout=60) == "schedule_to_start"
    assert ran == []


async def _has_activities(client: Client, name: str) -> bool:
    return bool((await client.handle(name).describe()).activities)


async def test_plain_functions_run_on_threads(client: Client) -> None:
    """Four at once where four threads are allowed, none on the loop's own thread."""
    barrier = threading.Barrier(4, timeout=60)
    names: set[str] = set()

    @durable.activity
    def blocking(n: int) -> int:
        names.add(threading.current_thread().name)
        barrier.wait()
        return n

    @durable.workflow
    async def wide() -> list[int]:
        return await asyncio.gather(*[blocking(n) for n in range(8)])

    async with Worker(client, workflows=[wide], activities=[blocking], max_threads=4):
        assert await client.execute(wide()) == list(range(8))
    assert threading.main_thread().name not in names
    assert len(names) == 4


async def test_arguments_that_do_not_fit_cost_no_thread(client: Client) -> None:
    """A plain activity whose arguments cannot be read fails, and its slot is free again."""

    @durable.activity(name="count")
    def wrote(n: str) -> int:
        return len(n)

    @durable.activity(name="count")
    def reads(n: int) -> int:
        return n

    @durable.workflow
    async def caller(n: str) -> Any:
        try:
            return await wrote(n)
        except durable.ActivityFailed as error:
            return type(error.cause).__name__

    async with Worker(client, workflows=[caller], activities=[reads], max_threads=1):
        for _ in range(3):
            assert await client.execute(caller("x")) == "PayloadError"
        assert await client.execute(caller("7")) == 7


@pytest.mark.usefixtures("no_net")
@pytest.mark.parametrize("queue", [None, "other"])
async def test_cancellation_is_pushed_to_what_runs(client: Client, queue: str | None) -> None:
    """A step that the workflow gives up is cancelled where it runs, here or on another worker."""
    began, cancelled = asyncio.Event(), asyncio.Event()

    @durable.activity
    async def long() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    @durable.workflow
    async def impatient() -> str:
        task = asyncio.create_task(long.options(task_queue=queue)())
        await go.receive()
        task.cancel()
        return "given up"

    go = durable.Signal("go")
    async with (
        Worker(client, workflows=[impatient], activities=[long]),
        Worker(client, activities=[long], task_queue="other"),
    ):
        handle = await client.start(impatient())
        await asyncio.wait_for(began.wait(), 60)
        await handle.signal(go)
        assert await handle.result(timeout=60) == "given up"
        await asyncio.wait_for(cancelled.wait(), 60)


LATER = durable.RetryPolicy(maximum_attempts=2, initial_interval="1 day", maximum_interval="1 day")


@durable.activity(retry=LATER, schedule_to_start_timeout="1 hour")
async def tried_again(amount: int) -> str:
    """Fails once, then works."""
    failures.append(len(failures) + 1)
    if len(failures) == 1:
        raise CardDeclinedError("attempt 1")
    return f"paid {amount}"


@durable.workflow
async def pay_later(amount: int) -> str:
    """One payment whose second attempt comes after a day."""
    return await tried_again(amount)


async def test_only_a_first_attempt_can_start_too_late(
    client: Client, rows: Callable[[str], Any]
) -> None:
    """A retry that waits for a worker beyond schedule_to_start runs all the same."""
    failures.clear()
    waiting = "from worker_streams where msg_type = 'activity' and expired_at is null"
    async with Worker(client, workflows=[pay_later], activities=[tried_again]):
        handle = await client.start(pay_later(7))
        await eventually(lambda: rows(f"select {waiting} and retry_attempt = 1"), "the retry's row")
    await rows(
        "update worker_streams set visible_at = now() - interval '2 hours'"
        f" where id in (select id {waiting})"
    )
    async with Worker(client, workflows=[pay_later], activities=[tried_again]):
        assert await handle.result(timeout=60) == "paid 7"
