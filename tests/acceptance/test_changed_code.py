"""Code that no longer fits a history, arguments that no longer fit the code: nothing is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker
from tests.waiting import eventually

go = durable.Signal("go")
ran: list[str] = []


@durable.activity
async def charge(amount: int) -> int:
    """Takes the money."""
    ran.append(f"charge {amount}")
    return amount


@durable.activity
async def pack(amount: int) -> int:
    """Another step."""
    ran.append(f"pack {amount}")
    return amount


@durable.workflow(name="order")
async def order(amount: int) -> int:
    """As it was written first."""
    paid = await charge(amount)
    await go.receive()
    return paid + await pack(amount)


@durable.workflow(name="order")
async def changed(amount: int) -> int:
    """Packs before it charges."""
    packed = await pack(amount)
    await go.receive()
    return packed + await charge(amount)


async def _charged(handle: durable.Handle[Any]) -> bool:
    return any(e.kind == "activity" for e in await handle.history())


async def _suspended(handle: durable.Handle[Any]) -> bool:
    return await handle.status() == "suspended"


async def _waiting_order(client: Client) -> durable.Handle[int]:
    """An order that has charged and waits, held by nobody."""
    ran.clear()
    async with Worker(client, workflows=[order], activities=[charge, pack]):
        handle = await client.start(order(5), id="o")
        await eventually(lambda: _charged(handle))
    return handle


async def test_changed_code_suspends_the_run_and_says_where(client: Client) -> None:
    """The step, what was recorded, what the code does now, its line; nothing is added."""
    handle = await _waiting_order(client)
    before = await handle.history()
    async with Worker(client, workflows=[changed], activities=[charge, pack]):
        await handle.signal(go)
        await eventually(lambda: _suspended(handle))
        failure = (await handle.describe()).failure
    assert failure is not None
    assert failure.type == "NonDeterminismError"
    line = changed.definition.fn.__code__.co_firstlineno + 3
    for words in (
        "step 1",
        "activity 'charge'",
        "activity 'pack'",
        f"test_changed_code.py:{line}",
        "'o'",
    ):
        assert words in failure.message
    assert await handle.history() == before
    assert ran == ["charge 5"]


async def test_the_run_goes_on_by_itself_when_the_code_is_right_again(client: Client) -> None:
    """A worker that starts with the old code resumes it; a signal that came meanwhile is there."""
    handle = await _waiting_order(client)
    async with Worker(client, workflows=[changed], activities=[charge, pack]):
        await handle.signal(go)
        await eventually(lambda: _suspended(handle))
    async with Worker(client, workflows=[order], activities=[charge, pack]):
        assert await handle.result(timeout=60) == 10
    described = await handle.describe()
    assert (described.state, described.failure) == ("completed", None)
    assert ran == ["charge 5", "pack 5"]


async def test_a_run_that_only_waits_is_shown_as_running_once_it_is_resumed(client: Client) -> None:
    """`resume` by a person, under a worker with the right code: no leftover of the suspension."""
    handle = await _waiting_order(client)
    async with Worker(client, workflows=[changed], activities=[charge, pack]):
        await handle.signal(durable.Signal("other"))
        await eventually(lambda: _suspended(handle))
    assert not await client.resume("nobody")
    assert await client.resume("o")
    assert await handle.status() == "running"
    async with Worker(client, workflows=[order], activities=[charge, pack]):
        await handle.signal(go)
        assert await handle.result(timeout=60) == 10


async def test_a_suspended_run_can_be_cancelled_and_terminated(client: Client) -> None:
    """Suspension is no prison: termination ends the run whatever its code."""
    handle = await _waiting_order(client)
    async with Worker(client, workflows=[changed], activities=[charge, pack]):
        await handle.signal(go)
        await eventually(lambda: _suspended(handle))
        await handle.terminate("gave up")
        with pytest.raises(durable.WorkflowTerminated, match="gave up"):
            await handle.result(timeout=60)


async def test_arguments_that_do_not_fit_suspend_the_run_and_wait_for_code_that_takes_them(
    client: Client,
) -> None:
    """The parameter's type was changed between start and first turn: visible, and not lost."""

    @durable.workflow(name="count")
    async def started_as(amount: str) -> str:
        return amount

    @durable.workflow(name="count")
    async def served_as(amount: int) -> int:
        return amount

    handle = await client.start(started_as("many"), id="c")
    async with Worker(client, workflows=[served_as]):
        await eventually(lambda: _suspended(handle))
    described = await handle.describe()
    assert described.failure is not None
    assert described.failure.type == "PayloadError"
    assert "amount" in described.failure.message
    assert described.input == {"amount": "many"}
    async with Worker(client, workflows=[started_as]):
        assert await handle.result(timeout=60) == "many"


async def test_a_result_that_cannot_be_read_suspends_the_run_and_is_kept(client: Client) -> None:
    """A return type does not fit: once the code can read the result, nothing is run again."""
    ran.clear()

    def versions(hint: Any) -> Any:
        @durable.activity(name="measure", retry=durable.RetryPolicy(maximum_attempts=1))
        async def measure() -> Any:
            ran.append("measure")
            return "long"

        measure.definition.fn.__annotations__["return"] = Any

        @durable.activity(name="measure", retry=durable.RetryPolicy(maximum_attempts=1))
        async def called() -> hint: ...

        @durable.workflow(name="job")
        async def job() -> Any:
            return await called()

        return job, measure

    wrong, measure = versions(int)
    right, _ = versions(str)
    async with Worker(client, workflows=[wrong], activities=[measure]):
        handle = await client.start(wrong(), id="j")
        await eventually(lambda: _suspended(handle))
        assert "measure" in str((await handle.describe()).failure)
    async with Worker(client, workflows=[right], activities=[measure]):
        assert await handle.result(timeout=60) == "long"
    assert ran == ["measure"]


async def test_code_that_never_waits_is_suspended_and_hurts_nobody_else(client: Client) -> None:
    """A loop without a wait would hold up every run of the worker: it is cut off, and says why."""

    @durable.workflow
    async def spin() -> None:
        while True:  # noqa: ASYNC110 - what must be cut off
            await asyncio.sleep(0)

    async with Worker(client, workflows=[spin, order], activities=[charge, pack]):
        handle = await client.start(spin(), id="s")
        other = await client.start(order(1))
        await other.signal(go)
        assert await other.result(timeout=60) == 2
        await eventually(lambda: _suspended(handle))
        failure = (await handle.describe()).failure
    assert failure is not None
    assert "NotDurableError" in failure.type
