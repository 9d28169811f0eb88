"""Code that never yields: named, parted from its worker's other runs, and suspended in the end."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import asyncpg
import pytest
import pytest_asyncio

import durable
from durable.client.client import Client
from durable.worker.worker import Worker
from tests.waiting import eventually

go = durable.Signal("go", int)
let_go = threading.Event()
spins: list[str] = []


def compute() -> None:
    """Holds the loop until it is let go."""
    spins.append("spin")
    end = time.monotonic() + 200
    while not let_go.is_set() and time.monotonic() < end:
        pass


@durable.workflow
async def spin() -> str:
    """Never yields."""
    compute()
    return "spun"


prompt: dict[str, Any] = {"__name__": "pdb"}
exec("def wait(code): code()", prompt)  # noqa: S102 - a frame of the debugger, with nobody at it


@durable.workflow
async def spin_at_a_prompt() -> str:
    """Somebody reads the code in a debugger."""
    prompt["wait"](compute)
    return "spun"


@durable.activity
async def spinning() -> str:
    """The same as an async activity."""
    compute()
    return "spun"


@durable.workflow
async def spin_in_activity() -> str:
    """Its activity never yields."""
    return await spinning()


@durable.workflow
async def wait() -> int:
    """Held beside it."""
    return await go.receive()


@pytest_asyncio.fixture
async def direct(dsn: str, client: Client) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the test's own schema; the code is let go at the end."""
    spins.clear()
    let_go.clear()
    connection = await asyncpg.connect(dsn, server_settings={"search_path": client.namespace})
    yield connection
    let_go.set()
    await connection.close()


class OnThread:
    """A worker in an event loop of its own, so that the test's goes on."""

    def __init__(self, dsn: str, namespace: str, limit: float) -> None:
        self._dsn, self._namespace, self._limit = dsn, namespace, limit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._serving = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with (
            await durable.connect(self._dsn, namespace=self._namespace, migrate=True) as client,
            Worker(
                client,
                workflows=[spin, spin_in_activity, spin_at_a_prompt, wait],
                activities=[spinning],
                yield_timeout=self._limit,
            ),
        ):
            self._serving.set()
            await self._stop.wait()

    async def __aenter__(self) -> Self:
        self._thread.start()
        assert await asyncio.to_thread(self._serving.wait, 60)
        return self

    async def __aexit__(self, *_: object) -> None:
        let_go.set()
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join, 60)


@pytest.mark.parametrize("workflow", [spin, spin_in_activity])
async def test_others_get_the_runs_of_a_worker_that_does_not_yield(
    dsn: str,
    client: Client,
    direct: asyncpg.Connection,
    caplog: pytest.LogCaptureFixture,
    workflow: durable.Workflow[[], str],
) -> None:
    """Named with its stack, then all is given up, its run is blamed; the worker joins anew."""
    caplog.set_level(logging.WARNING, "durable")
    async with OnThread(dsn, client.namespace, 3.0):
        held = [await client.start(wait()) for _ in range(3)]

        async def all_held() -> bool:
            reserved = "select count(*) from worker_streams where reserved_by is not null"
            return await direct.fetchval(reserved) == 3

        await eventually(all_held)
        guilty = await client.start(workflow())

        async def said() -> bool:
            return "no member any more" in caplog.text

        await eventually(said)
        assert "has not yielded for 2 s" in caplog.text
        assert "compute" in caplog.text
        async with Worker(client, workflows=[wait]):
            for run in held:
                await run.signal(go, 7)
            assert [await run.result(timeout=60) for run in held] == [7] * 3
        rows = await direct.fetch(
            "select run_id, losses, error::text from worker_streams"
            " where msg_type = 'turn' and expired_at is null"
        )
        assert [(r["run_id"], r["losses"]) for r in rows] == [(await guilty.run_id(), 1)]
        assert "without yielding" in rows[0]["error"]
        let_go.set()
        assert await guilty.result(timeout=60) == "spun"


async def test_what_it_held_up_goes_on_before_it_takes_the_next_worker(
    dsn: str, client: Client, direct: asyncpg.Connection
) -> None:
    """Whoever takes all of them at once goes on with the others, and only then with that one."""
    async with OnThread(dsn, client.namespace, 2.5):
        held = [await client.start(wait()) for _ in range(20)]

        async def all_held() -> bool:
            return not await direct.fetchval(
                "select exists(select from worker_streams where reserved_by is null)"
            )

        await eventually(all_held)
        guilty = await client.start(spin())

        async def spun() -> bool:
            return len(spins) == 1

        await eventually(spun)
        for run in held:
            await run.signal(go, 7)

        async def all_due() -> bool:
            return await direct.fetchval(
                "select count(*) = 21 from worker_streams where msg_type = 'turn'"
                " and reserved_by is null and visible_at <= clock_timestamp()"
            )

        await eventually(all_due)
        async with OnThread(dsn, client.namespace, 30):
            assert [await run.result(timeout=25) for run in held] == [7] * 20

            async def spun_again() -> bool:
                return len(spins) == 2

            await eventually(spun_again)
            let_go.set()
            assert await guilty.result(timeout=60) == "spun"


async def test_the_tenth_time_it_is_suspended_with_its_reason(
    dsn: str, client: Client, direct: asyncpg.Connection
) -> None:
    """Nine losses before: visible, with the reason and where it stood."""
    guilty = await client.start(spin())
    await direct.execute("update worker_streams set losses = 9")
    async with OnThread(dsn, client.namespace, 2.5):

        async def suspended() -> bool:
            return await guilty.status() == "suspended"

        await eventually(suspended)
        failure = (await guilty.describe()).failure
        assert failure is not None
        assert "without yielding" in failure.message
        assert "compute" in failure.traceback


async def test_a_debugger_holds_the_loop_as_long_as_it_likes(
    dsn: str,
    client: Client,
    direct: asyncpg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is said, and nothing given up, while its frames are on the stack."""
    del direct
    async with OnThread(dsn, client.namespace, 2.5):
        guilty = await client.start(spin_at_a_prompt())

        async def begun() -> bool:
            return bool(spins)

        await eventually(begun)
        await asyncio.sleep(3)  # that nothing happens needs time to be seen
        let_go.set()
        assert await guilty.result(timeout=60) == "spun"
    assert "yielded" not in caplog.text


SPIN = """
import pathlib, durable

@durable.workflow
async def spin() -> None:
    while True:
        pass
"""


async def test_durable_worker_exits_when_its_loop_is_held(
    program: Callable[..., subprocess.Popen[str]], database_url: str, tmp_path: Path
) -> None:
    """With a code of its own, after the loss has been written."""
    module = tmp_path / "spinning.py"
    module.write_text(SPIN, encoding="utf-8")
    async with await durable.connect(database_url) as client:
        run = await client.start("spin")
        worker = program("-m", "durable", "worker", module, "--yield-timeout", "2500ms")
        _, said = await asyncio.to_thread(worker.communicate, timeout=100)
        assert worker.returncode == 70, said
        assert "has not yielded" in said
        assert (await run.describe()).worker is None
