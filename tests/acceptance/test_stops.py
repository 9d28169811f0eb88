"""A stop really stops: in time, and what cannot be stopped stays this worker's until it ends."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

import durable
from durable.cli.run_reports import run_shown
from durable.cli.tables import laid_out
from durable.client.client import Client
from durable.worker.worker import Worker
from tests.waiting import eventually

ONCE = durable.RetryPolicy(maximum_attempts=1)
TWICE = durable.RetryPolicy(maximum_attempts=2, initial_interval=0)
begun: list[str] = []
release = threading.Event()


def _block(word: str) -> str:
    begun.append(word)
    release.wait(200)
    if word == "fails" and begun.count(word) == 1:
        raise ValueError("after the stop")
    return f"{word} ended"


@durable.activity(retry=TWICE)
def block(word: str) -> str:
    """Goes on, whatever it is told."""
    return _block(word)


@durable.activity(retry=ONCE)
def block_once(word: str) -> str:
    """The same, never to be repeated."""
    return _block(word)


@durable.activity(retry=TWICE)
def listens() -> str:
    """Hears of a stop by its heartbeat."""
    begun.append("listens")
    while begun.count("listens") == 1:
        time.sleep(0.02)
        durable.heartbeat()
    return "listened"


@durable.workflow
async def blocked(word: str) -> str:
    """One step."""
    return await (block_once if word == "once" else block)(word)


@durable.workflow
async def listened() -> str:
    """One step."""
    return await listens()


ALL = {"workflows": [blocked, listened], "activities": [block, block_once, listens]}


@pytest_asyncio.fixture
async def direct(dsn: str, client: Client) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the test's own schema."""
    begun.clear()
    release.clear()
    connection = await asyncpg.connect(dsn, server_settings={"search_path": client.namespace})
    yield connection
    release.set()
    await connection.close()


async def test_what_goes_on_after_a_stop_stays_with_its_worker(
    client: Client, direct: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """The member keeps those attempts alone, records and logs how each ended, and leaves then."""
    words = ["ends", "fails", "once"]
    first = Worker(client, **ALL, grace=0.1, max_threads=8)
    await first.start()
    runs = {word: await client.start(blocked(word)) for word in words}
    heard = await client.start(listened())
    loop = asyncio.get_running_loop()

    async def all_begun() -> bool:
        return len(begun) == 4

    await eventually(all_begun)
    before = loop.time()
    await first.stop()
    assert loop.time() - before < 0.1 + 5 + 10  # these are for a busy machine
    async with Worker(client, **ALL):
        assert await heard.result(timeout=60) == "listened"  # it was given back
        held = await direct.fetch(
            "select workflow_name, msg_type from worker_streams w join members m"
            " on m.member_id = w.reserved_by where w.msg_type = 'activity'"
        )
        assert len(held) == 3
        assert sorted(begun) == ["ends", "fails", "listens", "listens", "once"]
        release.set()
        found = {word: await run.result(timeout=60) for word, run in runs.items()}
    assert found == {word: f"{word} ended" for word in words}
    assert sorted(begun) == ["ends", "fails", "fails", "listens", "listens", "once"]
    async with asyncio.timeout(60):
        await first.gone()
    assert await direct.fetchval("select count(*) from members") == 0
    failures = [r for r in caplog.records if r.name == "durable.activity"]
    assert ["after the stop" in record.getMessage() for record in failures] == [True]


@pytest.mark.usefixtures("direct")
async def test_an_exit_shows_what_may_have_taken_effect(client: Client) -> None:
    """Leaving at once: each attempt that was cut off is shown, though another may follow it."""
    first = Worker(client, **ALL, grace=0)
    await first.start()
    runs = {word: await client.start(blocked(word)) for word in ("ends", "once")}

    async def both_begun() -> bool:
        return len(begun) == 2

    await eventually(both_begun)
    await first.stop()
    assert await asyncio.to_thread(first.leave_at_once, 10)
    shown = await runs["once"].describe()
    assert [a.state for a in shown.activities] == ["dead"]
    shown = await runs["ends"].describe()
    assert [a.state for a in shown.activities] == ["lost", "waiting"]
    said = laid_out(run_shown(shown, await runs["ends"].history()), io.StringIO())
    assert "attempt 1 of 2, waiting" in said
    release.set()
    async with Worker(client, **ALL):
        with pytest.raises(durable.WorkflowFailed, match="unknown"):
            await runs["once"].result(timeout=60)
        assert await runs["ends"].result(timeout=60) == "ends ended"
    assert sorted(begun) == ["ends", "ends", "once"]
    (lost,) = (shown := await runs["ends"].describe()).activities
    assert (lost.state, lost.attempt) == ("lost", 1)
    assert lost.failure is not None
    assert lost.failure.type == "OutcomeUnknown"
    said = laid_out(run_shown(shown, await runs["ends"].history()), io.StringIO())
    assert "Attempts that failed or were lost\n  #1 " in said
    assert ", attempt 1 of 2: OutcomeUnknown: " in said
    assert "(attempt " not in said  # it does not count
