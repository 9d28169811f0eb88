"""The shortest way through everything: start, run, result."""

from __future__ import annotations

import asyncio

import durable
from durable.client.client import Client
from durable.composition import connect
from durable.worker.worker import Worker


@durable.activity
async def double(value: int) -> int:
    """Twice the value."""
    return 2 * value


@durable.workflow
async def doubled(values: list[int]) -> list[int]:
    """Each value twice, in parallel."""
    return await asyncio.gather(*[double(v) for v in values])


async def test_a_workflow_started_before_any_worker_runs_when_one_comes(client: Client) -> None:
    """A start needs no worker; its result comes when a worker has been there."""
    handle = await client.start(doubled([1, 2, 3]), id="d")
    assert await handle.status() == "running"
    async with Worker(client, workflows=[doubled], activities=[double]):
        assert await handle.result(timeout=60) == [2, 4, 6]
    assert await handle.status() == "completed"


async def test_client_and_worker_need_not_share_a_client(
    client: Client, dsn: str, namespace: str
) -> None:
    """Two clients of one namespace, one with the worker, one that waits."""
    other = await connect(dsn, namespace=namespace, migrate=True)
    async with other, Worker(other, workflows=[doubled], activities=[double]):
        assert await client.execute(doubled([5])) == [10]
