"""Heartbeats: silence ends an attempt, beating keeps it, and a thread hears that it was stopped."""

from __future__ import annotations

import asyncio
import threading

import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker

ONCE = durable.RetryPolicy(maximum_attempts=1)
released = threading.Event()


@durable.activity(heartbeat_timeout=0.2, retry=ONCE)
async def silent() -> None:
    """Never beats."""
    await asyncio.Event().wait()


@durable.activity(heartbeat_timeout=2, retry=ONCE)
async def beating(turns: int) -> int:
    """Beats while it takes longer than its silence may last."""
    for _ in range(turns):
        durable.heartbeat()
        await asyncio.sleep(0.1)
    return turns


@durable.activity(heartbeat_timeout=0.2, retry=ONCE)
def endless() -> None:
    """On a thread: silent for too long, then beats again."""
    released.wait()
    try:
        durable.heartbeat()
    except asyncio.CancelledError:
        heard.append("stopped")
        ended.set()
        raise


heard: list[str] = []
ended = threading.Event()


@durable.workflow
async def keep_quiet() -> str:
    """What the workflow sees of silence."""
    try:
        await silent()
    except durable.ActivityTimeout as error:
        return error.kind
    return "nothing"


@durable.workflow
async def beat(turns: int) -> int:
    """Runs the activity that beats."""
    return await beating(turns)


@durable.workflow
async def run_endless() -> None:
    """Runs the activity on a thread."""
    await endless()


ALL = {"workflows": [keep_quiet, beat, run_endless], "activities": [silent, beating, endless]}


async def test_silence_times_out(client: Client) -> None:
    """An attempt that does not beat in time fails with an ActivityTimeout that says heartbeat."""
    async with Worker(client, **ALL):
        assert await client.execute(keep_quiet()) == "heartbeat"


async def test_beating_keeps_an_attempt_alive(client: Client) -> None:
    """An attempt that beats may take longer than its heartbeat timeout."""
    async with Worker(client, **ALL):
        assert await client.execute(beat(25)) == 25


async def test_a_thread_hears_that_it_was_stopped(client: Client) -> None:
    """A plain activity that has timed out gets CancelledError from its next heartbeat."""
    released.clear()
    heard.clear()
    ended.clear()
    async with Worker(client, **ALL):
        with pytest.raises(durable.WorkflowFailed):
            await client.execute(run_endless())
        released.set()
        assert await asyncio.to_thread(ended.wait, 60)
    assert heard == ["stopped"]


def test_outside_of_a_worker_it_does_nothing() -> None:
    """A unit test may call an activity's function that beats."""
    durable.heartbeat()
