"""Heartbeats from threads that the activity started, and beside code that blocks the loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker

ONCE = durable.RetryPolicy(maximum_attempts=1)
LIMIT = 1.0
TURNS = 30  # of a twentieth of a second: longer than the limit
shared = ThreadPoolExecutor(2)


def beats() -> str:
    """Beats for longer than its silence may last."""
    for _ in range(TURNS):
        time.sleep(0.05)
        durable.heartbeat()
    return "alive"


@durable.activity(heartbeat_timeout=LIMIT, retry=ONCE)
def in_a_thread() -> str:
    """A helper beats around a call that blocks."""
    thread = threading.Thread(target=beats)
    thread.start()
    thread.join()
    return "alive"


@durable.activity(heartbeat_timeout=LIMIT, retry=ONCE)
def in_a_pool() -> str:
    """A pool of its own."""
    with ThreadPoolExecutor(2) as pool:
        return next(iter(pool.map(lambda _: beats(), range(2))))


@durable.activity(heartbeat_timeout=LIMIT, retry=ONCE)
def in_a_shared_pool() -> str:
    """A pool whose threads serve others, too."""
    return shared.submit(beats).result()


@durable.activity(heartbeat_timeout=LIMIT, retry=ONCE)
async def in_an_executor() -> str:
    """The loop's executor, by either way."""
    await asyncio.to_thread(beats)
    return await asyncio.get_running_loop().run_in_executor(None, beats)


@durable.activity(heartbeat_timeout=LIMIT, retry=ONCE)
def silent_beside() -> str:
    """Silent, while others of its process beat."""
    silence.wait(60)
    return "silent"


silence = threading.Event()
HELPED = [in_a_thread, in_a_pool, in_a_shared_pool, in_an_executor]


@durable.workflow
async def all_of_them() -> list[str]:
    """All at once, and one that is silent."""
    try:
        found = await asyncio.gather(*[activity() for activity in HELPED])
    finally:
        with pytest.raises(durable.ActivityTimeout, match="heartbeat"):
            await silent_beside()
    return found


async def test_beats_count_from_any_thread_that_the_activity_started(client: Client) -> None:
    """Threads, pools and executors carry the heart of who started them, and nobody else's."""
    silence.clear()
    async with Worker(
        client, workflows=[all_of_them], activities=[*HELPED, silent_beside], max_threads=8
    ):
        handle = await client.start(all_of_them())
        assert await handle.result(timeout=60) == ["alive"] * 4
        silence.set()
    assert shared.submit(heart_of_nobody()).result() is None


def heart_of_nobody() -> Callable[[], object]:
    """What a thread of the shared pool finds when nobody's attempt submits."""
    from durable.authoring.heartbeats import HEART  # noqa: PLC0415

    return HEART.get


@durable.activity(heartbeat_timeout=LIMIT, retry=ONCE)
async def healthy() -> str:
    """Beats on the loop."""
    for _ in range(TURNS):
        await asyncio.sleep(0.05)
        durable.heartbeat()
    return "healthy"


@durable.activity(retry=ONCE)
async def blocking() -> str:
    """Blocks the loop for longer than its neighbour may be silent."""
    await asyncio.sleep(0.125)  # between two beats
    time.sleep(2 * LIMIT)  # noqa: ASYNC251 - that is what is tested
    return "blocked"


@durable.workflow
async def neighbours() -> list[str]:
    """Both in one process."""
    return list(await asyncio.gather(healthy(), blocking()))


async def test_a_blocked_loop_is_named_and_not_punished(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Who could not beat while somebody else blocked the loop goes on, and the log says why."""
    async with Worker(client, workflows=[neighbours], activities=[healthy, blocking]):
        with caplog.at_level(logging.WARNING, "durable"):
            handle = await client.start(neighbours())
            assert await handle.result(timeout=60) == ["healthy", "blocked"]
    assert "was blocked for" in caplog.text
    assert "'healthy'" in caplog.text
