"""A member beats while its host's connections are dead: silence is not life."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import durable
from durable.client.client import Client
from durable.client.handle import Handle
from durable.composition import connect
from durable.runtime.liveness import LivenessMonitor, Pulse
from durable.store import membership
from durable.store.membership import Membership
from durable.worker import started_worker
from durable.worker.worker import Worker
from tests.integration.proxy import Proxy
from tests.unit.runtime.test_clocks import Hands
from tests.waiting import eventually

CLOCKS = """
import asyncio, durable
from durable.client.client import Client

async def waits_for_the_server(self):
    await asyncio.sleep(60)

Client.close = waits_for_the_server  # at its worst; commonly it is one second or three

go = durable.Signal("go")

@durable.activity
async def busy() -> None:
    await asyncio.sleep(0.05)

@durable.workflow
async def holds() -> None:
    while True:
        await busy.options(task_queue="other")()
        await busy()

@durable.workflow(task_queue="other")
async def other() -> None:
    await go.receive()
"""


@durable.activity
async def tick() -> int:
    await asyncio.sleep(0.05)
    return 1


@durable.workflow
async def clock(ticks: int) -> int:
    return sum([await tick() for _ in range(ticks)])


async def test_a_member_whose_commits_are_silent_leaves_and_joins_anew(
    dsn: str, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The connections of commits are dead: the member reaps itself, and another has its runs."""
    monkeypatch.setattr(membership, "SILENT", 1.0)
    monkeypatch.setattr(started_worker, "COMMITS", 0.2)
    caplog.set_level(logging.WARNING)
    admin = await asyncpg.connect(dsn)

    async def members() -> set[int]:
        rows = await admin.fetch(f'select member_id from "{client.namespace}".members')
        return {row[0] for row in rows}

    async with (
        Proxy(dsn) as proxy,
        await connect(proxy.dsn, namespace=client.namespace) as far,
        Worker(far, workflows=[clock], activities=[tick], grace=0),
    ):
        (first,) = await members()
        handles = [await client.start(clock(20)) for _ in range(5)]
        await asyncio.sleep(0.3)
        proxy.muted = "durable commits"
        async with Worker(client, workflows=[clock], activities=[tick]):

            async def left() -> bool:
                return first not in await members()

            await eventually(left)
            # The silent one takes some of them again, and again leaves them.
            assert [await h.result(timeout=150) for h in handles] == [20] * 5

            async def joined() -> bool:
                return len(await members()) == 2

            await eventually(joined)
        proxy.muted = None
    await admin.close()
    assert "joins anew" in caplog.text


def test_time_that_the_loop_was_blocked_is_no_silence() -> None:
    """Only looks count, each for a second at most; whatever completes something is alive."""
    hands, pulse = Hands(), Pulse()
    silence = LivenessMonitor(hands)
    silence.watch(pulse)
    with pulse:
        hands.passes(60)
        assert silence.look() == 1.0
        hands.passes(0.5)
        assert silence.look() == 1.5
    assert silence.look() == 0.0
    hands.passes(60)
    assert silence.look() == 0.0  # nothing waits


async def test_the_end_of_a_members_thread_ends_its_worker(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in the thread is no silent death: `run` raises it."""
    worker = Worker(client, workflows=[clock], grace=0)
    async with asyncio.timeout(90):
        running = asyncio.create_task(worker.run())

        async def joined() -> bool:
            return worker._started is not None and worker._started.membership.id > 0

        await eventually(joined)

        async def broken(_self: Membership) -> None:
            raise KeyError("a bug")

        monkeypatch.setattr(Membership, "_beat", broken)
        assert worker._started is not None
        worker._started.membership._beat_now()
        with pytest.raises(KeyError, match="a bug"):
            await running


async def test_two_connections_at_a_time_are_opened(client: Client) -> None:
    """Whoever reconnects waits for its turn: a server that is back is not met by all at once."""
    address = client.services.address
    most, now = 0, 0
    real = address._connect

    async def counted(name: str, *, direct: bool) -> asyncpg.Connection:
        nonlocal most, now
        now += 1
        most = max(most, now)
        try:
            return await real(name, direct=direct)
        finally:
            now -= 1

    address._connect = counted  # type: ignore[method-assign]
    opened = await asyncio.gather(*[address.connect("test") for _ in range(6)])
    for connection in opened:
        connection.terminate()
    assert most == 2


async def test_the_process_of_a_worker_ends_though_the_server_is_silent(
    client: Client, dsn: str, tmp_path: Path
) -> None:
    """`durable worker` is gone five seconds after its grace, whatever the server does."""
    (tmp_path / "clocks.py").write_text(CLOCKS, encoding="utf-8")
    async with Proxy(dsn) as proxy:
        options = "--dsn", proxy.dsn, "--namespace", client.namespace, "--grace", "1s"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "durable", "worker", "clocks.py", *options,
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            await process.stdout.readline()
            held = [await client.start("holds") for _ in range(10)]
            await eventually(lambda: _is_busy(held[-1]))
            proxy.swallowing = True
            began = time.monotonic()
            process.terminate()
            await asyncio.wait_for(process.wait(), 60)
            assert process.returncode == 0
            assert time.monotonic() - began < 1 + 5 + 6  # these are for a busy machine
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _is_busy(held: Handle[Any]) -> bool:
    return len(await held.history()) > 3
