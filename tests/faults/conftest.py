"""Fixtures of tests with worker processes: a journal, an observer, and the processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from durable.client.client import Client
from tests.faults.driver import Journal, Observer, WorkerProcess

Spawn = Callable[..., Awaitable[WorkerProcess]]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """The file in which activities of all processes note what they do."""
    return Journal(tmp_path)


@pytest_asyncio.fixture
async def observer(dsn: str, client: Client) -> AsyncIterator[Observer]:
    """A connection that looks at the tables of the client's namespace."""
    connection = await asyncpg.connect(dsn)
    yield Observer(connection, client.namespace)
    await connection.close()


@pytest_asyncio.fixture
async def spawn(dsn: str, client: Client, journal: Journal) -> AsyncIterator[Spawn]:
    """Starts worker processes on the client's namespace; what still runs is killed at the end."""
    spawned: list[WorkerProcess] = []

    async def start(env: dict[str, str] | None = None, **options: float) -> WorkerProcess:
        spawned.append(await WorkerProcess.spawn(dsn, client.namespace, journal, env, **options))
        return spawned[-1]

    yield start
    for worker in spawned:
        await worker.kill()
