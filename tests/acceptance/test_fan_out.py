"""Many activities at once: each runs once, and the results keep their order."""

from __future__ import annotations

import asyncio
from collections import Counter

import asyncpg
import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker


@durable.workflow
async def squares(count: int) -> list[int]:
    """The squares of the first numbers, all at once."""
    return await asyncio.gather(*[square(n) for n in range(count)])


ran: Counter[tuple[str, int]] = Counter()


@durable.activity
async def square(n: int) -> int:
    """The square of n, and a note that it ran."""
    ran["square", n] += 1
    return n * n


@pytest.mark.parametrize("count", [0, 1, 25, 30, 2000])
async def test_each_activity_of_a_gather_runs_once_and_in_order(client: Client, count: int) -> None:
    """A gather gives one result per activity, in order, and executes none twice."""
    ran.clear()
    async with Worker(client, workflows=[squares], activities=[square]):
        result = await client.execute(squares(count))
    assert result == [n * n for n in range(count)]
    assert ran == Counter({("square", n): 1 for n in range(count)})


@pytest.mark.parametrize("slots", [1, 5])
async def test_no_more_activities_run_at_once_than_the_worker_allows(
    client: Client, slots: int
) -> None:
    """`max_activities` bounds what runs, on whichever path it came."""
    running = peak = 0

    @durable.activity(name="square")
    async def counted(n: int) -> int:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1
        return n * n

    async with Worker(client, workflows=[squares], activities=[counted], max_activities=slots):
        assert await client.execute(squares(40)) == [n * n for n in range(40)]
    assert peak == slots


async def test_the_rows_of_a_fan_out_are_gone_when_it_is_over(client: Client, dsn: str) -> None:
    """The hot tables hold nothing of a run that has ended."""
    async with Worker(client, workflows=[squares], activities=[square], max_activities=3):
        await client.execute(squares(30))
    connection = await asyncpg.connect(dsn)
    try:
        for table in ("worker_streams", "engine_streams", "members"):
            assert (
                await connection.fetchval(f"select count(*) from {client.namespace}.{table}") == 0
            ), table
    finally:
        await connection.close()


@durable.activity
async def as_task() -> None:
    """Waits for nothing, on the loop."""


@durable.activity
def on_thread() -> None:
    """Waits for nothing, on a thread."""


@durable.workflow
async def both() -> None:
    """One of each, at once."""
    await asyncio.gather(as_task(), on_thread())


async def test_what_was_started_first_and_waits_for_nothing_ends_first(client: Client) -> None:
    """The end of a thread does not overtake that of a task, which is told a turn of the loop later.

    So a history of such steps is the same each time, and can be shown in a text.
    """
    async with Worker(client, workflows=[both], activities=[as_task, on_thread]):
        handles = [await client.start(both()) for _ in range(30)]
        for handle in handles:
            await handle.result(timeout=60)
            events = [event.name for event in await handle.history() if event.kind == "activity"]
            assert events == ["as_task", "on_thread"]
