"""Two paths from step to step, in memory or over the stream: one and the same history."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker

QUICK = durable.RetryPolicy(maximum_attempts=3, initial_interval=0.01)
go = durable.Signal("go", int)


class OwnError(Exception):
    """The user's own."""


attempts: list[int] = []


@durable.activity(retry=QUICK)
async def add(a: int, b: int = 1) -> dict[str, int]:
    """Works."""
    return {"sum": a + b}


@durable.activity(retry=QUICK)
async def flaky(n: int) -> int:
    """Fails twice."""
    attempts.append(n)
    if len(attempts) < 3:
        raise OwnError(f"attempt {len(attempts)}")
    return n


@durable.activity(retry=QUICK)
async def hopeless() -> None:
    """Fails whatever is done."""
    raise OwnError("always")


@durable.activity(retry=durable.RetryPolicy(maximum_attempts=1))
async def once() -> str:
    """May not be repeated."""
    return "once"


@durable.activity(start_to_close_timeout=0.02, retry=durable.RetryPolicy(maximum_attempts=1))
async def hang() -> None:
    """Takes too long."""
    await asyncio.Event().wait()


@durable.workflow
async def sub(n: int) -> int:
    """A child."""
    return (await add(n))["sum"]


@durable.workflow
async def everything(n: int) -> list[Any]:
    """A step of each kind, one after the other, and some at once."""
    found: list[Any] = [await add(n), await flaky(n), await once(), await sub(n)]
    try:
        await hopeless()
    except durable.ActivityFailed as error:
        found.append([str(error), error.attempts, str(error.cause)])
    try:
        await hang()
    except durable.ActivityTimeout as error:
        found.append([error.kind, error.attempts])
    await durable.sleep(0.01)
    found.append(await asyncio.gather(*[add(n, b) for b in range(5)]))
    return [*found, await go.receive()]


ACTIVITIES = [add, flaky, hopeless, once, hang]


def _alike(data: Any) -> Any:
    """Without what is each run's own: the seed of its random numbers."""
    if not isinstance(data, dict) or "seed" not in data:
        return data
    assert len(bytes.fromhex(data["seed"])) == 16
    return {**data, "seed": "its own"}


async def _told(client: Client) -> tuple[Any, list[Any]]:
    attempts.clear()
    handle = await client.start(everything(3), id="e")
    await handle.signal(go, 5)
    result = await handle.result(timeout=60)
    events = [
        (
            e.kind,
            e.step,
            e.name,
            e.input,
            _alike(e.data),
            None if e.failure is None else e.failure.to_dict(),
        )
        for e in await handle.history()
    ]
    # What ran at the same time may settle in any order, and a signal comes when it comes.
    return result, sorted(events, key=lambda e: (e[0] == "finished", e[1], e[0], repr(e)))


@pytest.mark.parametrize("path", ["two workers", "few slots", "few runs"])
async def test_the_same_facts_are_written_on_either_path(client: Client, path: str) -> None:
    """Step for step the same kinds, names, arguments and results; times, ids and seeds apart."""
    async with Worker(client, workflows=[everything, sub], activities=ACTIVITIES):
        fast = await _told(client)
    if path == "two workers":
        async with (
            Worker(client, workflows=[everything, sub]),
            Worker(client, activities=ACTIVITIES),
        ):
            slow = await _told(client)
    else:
        few: Any = {"max_activities": 1} if path == "few slots" else {"max_runs": 1}
        async with Worker(client, workflows=[everything, sub], activities=ACTIVITIES, **few):
            slow = await _told(client)
    assert fast[0] == slow[0]
    assert len(fast[1]) == len(slow[1]) > 12
    for one, other in zip(fast[1], slow[1], strict=True):
        assert one == other
