"""The server goes away and comes back: it costs nobody an attempt, nor a member its life."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from durable.client.client import Client
from durable.composition import connect
from durable.postgres.embedded.launcher import ensure_running, release
from tests.faults.conftest import Spawn
from tests.faults.driver import Journal, Observer
from tests.faults.programs import approval, order, order_worth, steps, steps_worth
from tests.servers import started
from tests.waiting import eventually

RUNS = 50


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cluster of this module's own, to be treated badly."""
    directory = tmp_path_factory.mktemp("restarted") / ".durable"
    embedded = asyncio.run(started(directory))
    yield directory
    release(embedded)


@pytest_asyncio.fixture
async def dsn(home: Path) -> str:
    """Where it listens."""
    return (await ensure_running(home)).dsn


@pytest.fixture
def namespace() -> str:
    """A schema that is never taken back: its server is thrown away."""
    return f"t_{secrets.token_hex(6)}"


@pytest_asyncio.fixture
async def client(dsn: str, namespace: str) -> AsyncIterator[Client]:
    """A client of it."""
    async with await connect(dsn, namespace=namespace, migrate=True) as connected:
        yield connected


async def _observed(dsn: str, namespace: str) -> Observer:
    return Observer(await asyncpg.connect(dsn), namespace)


async def test_a_restart_under_load_costs_no_attempt_and_no_member(
    client: Client, spawn: Spawn, journal: Journal, observer: Observer, home: Path
) -> None:
    """Fifty runs while the server restarts: every step starts once, the member is the same."""
    worker = await spawn()
    before = await observer.members_of(worker.pid)
    starting = [asyncio.create_task(_start(client, n)) for n in range(RUNS)]
    await journal.reaches(150)
    postmaster = home / "data" / "postmaster.pid"
    down = postmaster.read_text().split()[0]
    os.kill(int(down), signal.SIGINT)

    async def another() -> bool:
        try:
            return postmaster.read_text().split()[:1] not in ([], [down])
        except FileNotFoundError:
            return False

    await eventually(another, "another server process")  # its watcher starts it again
    handles = await asyncio.gather(*starting)
    for n, handle in enumerate(handles):
        assert await handle.result(timeout=60) == _expected(n)
    again = await _observed(client.dsn, client.namespace)
    assert await again.members_of(worker.pid) == before
    await again.nothing_is_left()
    await again.no_recorded_step_ran_again(journal)
    assert not await again.rows("select * from durable.worker_streams where losses > 0")
    await again.close()


async def test_a_crash_of_the_server_changes_no_result(
    client: Client, spawn: Spawn, journal: Journal, observer: Observer
) -> None:
    """A killed backend takes down all others, and unflushed claims: results are exact."""
    worker = await spawn()
    before = await observer.members_of(worker.pid)
    starting = [asyncio.create_task(_start(client, n)) for n in range(RUNS)]
    await journal.reaches(150)
    victim = await observer.value(
        "select pid from pg_stat_activity where application_name = 'durable pool' limit 1"
    )
    os.kill(victim, signal.SIGKILL)
    handles = await asyncio.gather(*starting)
    for n, handle in enumerate(handles):
        assert await handle.result(timeout=60) == _expected(n)
    again = await _observed(client.dsn, client.namespace)
    assert await again.members_of(worker.pid) == before
    await again.nothing_is_left()
    await again.no_recorded_step_ran_again(journal, within_a_process=False)
    await again.close()


async def test_a_server_that_is_read_only_for_a_while_changes_no_result(
    client: Client, spawn: Spawn, journal: Journal, observer: Observer
) -> None:
    """As in a failover: nothing can be written for a while, and nothing is lost."""
    worker = await spawn()
    before = await observer.members_of(worker.pid)
    starting = [asyncio.create_task(_start(client, n)) for n in range(RUNS)]
    await journal.reaches(150)
    await observer.rows("alter system set default_transaction_read_only = on")
    await observer.rows("select pg_reload_conf()")
    await worker.lives(1.0)
    await observer.rows("alter system reset default_transaction_read_only")
    await observer.rows("select pg_reload_conf()")
    handles = await asyncio.gather(*starting)
    for n, handle in enumerate(handles):
        assert await handle.result(timeout=60) == _expected(n)
    assert await observer.members_of(worker.pid) == before
    await observer.nothing_is_left()
    await observer.no_recorded_step_ran_again(journal)


async def _start(client: Client, n: int):
    if n % 5:
        return await client.start(steps(f"s{n}", 15, 0.02), id=f"s{n}")
    handle = await client.start(order(f"o{n}"), id=f"o{n}")
    await handle.signal(approval, n)
    return handle


def _expected(n: int) -> object:
    return steps_worth(f"s{n}", 15) if n % 5 else order_worth(f"o{n}", n)
