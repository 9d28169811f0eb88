"""Steps that are tried for ever leave a row for each attempt: what looks at a run stays short."""

from __future__ import annotations

import io

import pytest

import durable
from durable.cli.run_reports import run_shown
from durable.cli.tables import laid_out
from durable.client.client import Client
from durable.store import jobs
from durable.worker.worker import Worker
from tests.waiting import eventually

GOOD_AFTER = 9
tries: list[str] = []


@durable.activity(
    retry=durable.RetryPolicy(maximum_attempts=None, initial_interval=0, backoff_coefficient=1)
)
async def poll(what: str) -> str:
    """Down for a while."""
    tries.append(what)
    if tries.count(what) < GOOD_AFTER:
        raise ConnectionError(f"{what} is down")
    return what


go = durable.Signal("go")


@durable.workflow
async def follow() -> None:
    """Two of them, one after the other."""
    await poll("first")
    await poll("second")
    await go.receive()


async def test_a_description_holds_the_newest_attempts(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those that have ended; it tells how many came before, and so does `durable show`."""
    monkeypatch.setattr(jobs, "ATTEMPTS_MAX", 5)
    tries.clear()
    async with Worker(client, workflows=[follow], activities=[poll]):
        handle = await client.start(follow(), id="f")

        async def both() -> bool:
            return len(await handle.history()) == 3

        await eventually(both)
        told = await handle.describe()
        assert [(a.number, a.attempt, a.state) for a in told.activities] == [
            (2, attempt, "failed") for attempt in range(4, GOOD_AFTER)
        ]
        assert told.earlier_attempts == 2 * (GOOD_AFTER - 1) - 5
        lines = laid_out(run_shown(told, await handle.history()), io.StringIO())
        assert "… and 11 before these" in lines
        assert f"#2 poll (attempt {GOOD_AFTER})" in lines
        assert await handle.status() == "running"
        await handle.signal(go)
        await handle.result(timeout=10)
    assert await handle.status() == "completed"
