"""Durations that leave the calendar, that are for ever, and that are over before they begin."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from typing import Any

import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker
from tests.waiting import eventually

AGES: list[Any] = ["5000000 days", math.inf, 10**400]


@durable.activity(retry=durable.RetryPolicy(maximum_attempts=None, initial_interval=0))
async def flaky(times: int) -> int:
    """Fails so many times."""
    failed.append(times)
    if len(failed) <= times:
        raise OSError(f"attempt {len(failed)}")
    return len(failed)


failed: list[int] = []


@durable.workflow
async def patient(times: int) -> int:
    """Waits for it."""
    return await flaky(times)


async def test_retries_for_ever(client: Client) -> None:
    """`maximum_attempts=None` goes on where any default would have given up."""
    failed.clear()
    async with Worker(client, workflows=[patient], activities=[flaky]):
        assert await client.execute(patient(7)) == 8
    assert flaky.definition.options.repeatable


@pytest.mark.parametrize("ages", AGES, ids=range(len(AGES)))
async def test_whatever_is_too_long_means_never(client: Client, ages: Any) -> None:
    """Limits, delays and waits beyond the year 9999: nothing breaks, the run is open and ends."""
    policy = durable.RetryPolicy(initial_interval=ages, maximum_interval=ages)
    limits: Any = dict.fromkeys(
        ("start_to_close_timeout", "schedule_to_close_timeout", "schedule_to_start_timeout"), ages
    )

    @durable.activity(retry=policy, **limits)
    async def unlucky(attempts: int) -> int:
        tries.append(attempts)
        if attempts:
            raise durable.ApplicationError("later", next_retry_delay=ages)
        raise OSError("later")

    @durable.activity(**limits, heartbeat_timeout=ages)
    async def lucky() -> int:
        return 1

    @durable.workflow
    async def waiting() -> int:
        parts = [unlucky(0), unlucky(1), durable.sleep(ages), asyncio.sleep(1e300)]
        tasks = [asyncio.create_task(part) for part in parts]
        with pytest.raises(TimeoutError):
            await durable.wait_until(lambda: False, timeout=0.01)
        await durable.wait_until(lambda: True, timeout=ages)
        found = await lucky()
        await asyncio.gather(*tasks)
        return found

    tries: list[int] = []
    async with Worker(client, workflows=[waiting], activities=[unlucky, lucky]):
        handle = await client.start(waiting(), id="w")

        async def settled() -> bool:
            described = await handle.describe()
            waits = [a for a in described.activities if a.attempt == 2]
            return len(waits) == 2 and all(a.visible_at.year > 9000 for a in waits)

        await eventually(settled)
        assert sorted(tries) == [0, 1]
    # Whoever takes it up, looks at it and ends it can read what was written.
    async with Worker(client, workflows=[waiting], activities=[unlucky, lucky]):
        assert [run.state for run in await client.list()] == ["running"]
        assert await handle.history()
        await handle.cancel()
        with pytest.raises(durable.WorkflowCancelled):
            await handle.result(timeout=60)


async def test_a_wait_that_is_over_ends_at_once(client: Client) -> None:
    """Negative waits are no waits: in `sleep`, `wait_until`, `result` and asyncio alike."""

    @durable.workflow
    async def hasty() -> int:
        for past in (0, -1, -0.5, -math.inf, timedelta(days=-1), -(10**400)):
            await durable.sleep(past)
            with pytest.raises(TimeoutError):
                await durable.wait_until(lambda: False, timeout=past)
        await asyncio.sleep(-5)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(-1):
                await asyncio.Event().wait()
        with pytest.raises(durable.ConfigurationError):
            await durable.sleep(math.nan)
        with pytest.raises(ValueError, match="NaN"):
            await asyncio.sleep(math.nan)
        return 1

    @durable.workflow
    async def endless() -> None:
        await asyncio.Event().wait()

    async with Worker(client, workflows=[hasty, endless]):
        handle = await client.start(hasty())
        assert await handle.result(timeout=60) == 1
        assert {event.kind for event in await handle.history()} <= {"started", "finished"}
        handle = await client.start(endless())
        with pytest.raises(durable.ResultTimeout):
            await handle.result(timeout=-1)
        await handle.terminate()
