"""A worker whose memory is full of waiting runs serves new ones as if it were empty."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

import durable
from durable.client.client import Client
from durable.store.runs import RunStream
from durable.worker.worker import Worker
from tests.waiting import eventually

go = durable.Signal("go", int)
HELD, NEW = 60, 60


@durable.activity
async def same(n: int) -> int:
    """What it was given."""
    return n


@durable.workflow
async def waiter(n: int) -> int:
    """Waits for a signal."""
    return n + await go.receive()


@durable.workflow
async def short(n: int) -> int:
    """One step."""
    return await same(n)


class Counted:
    """What the worker asks of the stream of runs: how many times, and for how many runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.claims: list[int] = []
        self.given_back: list[int] = []
        claim, give_back = RunStream.claim, RunStream.give_back

        async def claiming(stream: RunStream, *args: Any) -> Sequence[Any]:
            found = await claim(stream, *args)
            self.claims.append(len(found))
            return found

        async def giving(stream: RunStream, member: int, due: Any) -> Any:
            self.given_back.append(len(due))
            return await give_back(stream, member, due)

        monkeypatch.setattr(RunStream, "claim", claiming)
        monkeypatch.setattr(RunStream, "give_back", giving)


async def test_new_runs_beside_a_full_cache_are_claimed_together(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one by one: each waiting run makes room for one, and no more go than are needed."""
    workflows, activities = [waiter, short], [same]
    counted = Counted(monkeypatch)
    async with Worker(client, workflows=workflows, activities=activities, max_runs=HELD) as worker:
        waiting = [await client.start(waiter(n)) for n in range(HELD)]

        async def held() -> bool:
            return worker._started is not None and len(worker._started.workflows.runs) == HELD

        await eventually(held, "a full cache")
        counted.claims.clear()
        counted.given_back.clear()
        results = await asyncio.gather(*[client.execute(short(n)) for n in range(NEW)])
        assert results == list(range(NEW))
        assert sum(counted.claims) == NEW
        assert len([found for found in counted.claims if found]) <= NEW // 4
        assert sum(counted.given_back) <= HELD
        for n, handle in enumerate(waiting):
            await handle.signal(go, n)
        assert [await h.result() for h in waiting] == [2 * n for n in range(HELD)]
