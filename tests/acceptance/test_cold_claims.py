"""A worker that takes many runs with a past at once lets others have the loop in between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import durable
from durable.client.client import Client
from durable.worker.run_loader import RunLoader, pages
from durable.worker.worker import Worker
from durable.worker.workflow_worker import WorkflowWorker
from tests.waiting import eventually

go = durable.Signal("go", int)


@durable.activity
async def step(n: int) -> int:
    """One."""
    return n


@durable.workflow
async def long(steps: int) -> int:
    """So many steps, then a wait."""
    total = 0
    for n in range(steps):
        total += await step(n)
    return total + await go.receive()


ALL = {"workflows": [long], "activities": [step]}


async def test_runs_with_a_past_are_replayed_one_a_loop_turn(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Histories come in pages, and each replay has a turn of the loop of its own."""
    runs = [await client.start(long(5)) for _ in range(6)]
    async with Worker(client, **ALL):
        for run in runs:

            async def stepped(run: durable.Handle[int] = run) -> bool:
                return len(await run.history()) >= 6

            await eventually(stepped)
    monkeypatch.setattr("durable.worker.run_loader.PAGE", 14)  # the facts of two runs
    monkeypatch.setattr("durable.store.histories.PAGE", 4)
    turns: list[int] = []
    taken: list[int] = []
    turn = 0

    async def turning() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    begin, take = WorkflowWorker.take_up, RunLoader._load_page

    def beginning(host: WorkflowWorker, claimed: Any, facts: Any) -> None:
        if claimed.revision:
            turns.append(turn)
        begin(host, claimed, facts)

    async def taking(way: RunLoader, member: int, page: Any) -> None:
        taken.append(len(page))
        await take(way, member, page)

    monkeypatch.setattr(WorkflowWorker, "take_up", beginning)
    monkeypatch.setattr(RunLoader, "_load_page", taking)
    ticking = asyncio.create_task(turning())
    async with Worker(client, **ALL):
        for run in runs:
            await run.signal(go, 1)
        assert [await run.result(timeout=60) for run in runs] == [11] * 6
    ticking.cancel()
    assert max(taken) <= 2
    assert len(set(turns)) == len(turns) >= 6


async def test_a_history_is_read_in_pages(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, in order, whatever the size of a page."""
    async with Worker(client, **ALL):
        run = await client.start(long(7))
        await run.signal(go, 1)
        await run.result(timeout=60)
    whole = await run.history()
    for page in (1, 3, len(whole), 100):
        monkeypatch.setattr("durable.store.histories.PAGE", page)
        assert await run.history() == whole


def test_pages_hold_so_many_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is longer than a page stands alone."""

    class Claimed:
        def __init__(self, revision: int) -> None:
            self.revision = revision

    monkeypatch.setattr("durable.worker.run_loader.PAGE", 10)
    claimed: Any = [Claimed(n) for n in (4, 6, 1, 99, 0, 5)]
    assert [[c.revision for c in page] for page in pages(claimed)] == [[4, 6], [1], [99], [0, 5]]
