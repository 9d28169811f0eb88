"""`hook` signals runs of functions, and `scrub` deletes those that have ended."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pydantic import BaseModel

import durable
from durable.client.client import Client
from durable.errors import ConfigurationError, JobNotFound, PayloadError
from durable.hotmesh.mesh import HotMesh
from durable.worker.worker import Worker

QUEUE = "orders"


class Approval(BaseModel):
    """Who has approved."""

    by: str


approval = durable.Signal("approval", Approval)
more = durable.Signal("more", int)


@durable.workflow
async def fulfil() -> list[str]:
    """Takes two signals."""
    return [(await approval.receive()).by, str(await more.receive())]


@pytest_asyncio.fixture
async def mesh(client: Client) -> AsyncIterator[HotMesh]:
    """The app that the task queue is."""
    async with await HotMesh.init(app_id=QUEUE, engine={"connection": client}) as joined:
        yield joined


async def test_a_hook_signals_a_run(client: Client, mesh: HotMesh) -> None:
    """By id and name, each request once, held by a worker or by none; its data are the payload."""
    async with Worker(client, workflows=[fulfil], task_queue=QUEUE):
        handle = await client.start(fulfil(), id="order-1", task_queue=QUEUE)
        data = {"id": "order-1", "name": "approval", "data": {"by": "ann"}}
        first = await mesh.hook("fulfil.signal", data, request_id="r")
        assert await mesh.hook("fulfil.signal", data, request_id="r") == first
    await mesh.hook("fulfil.signal", {"id": "order-1", "name": "more", "data": 7})
    async with Worker(client, workflows=[fulfil], task_queue=QUEUE):
        assert await handle.result(timeout=60) == ["ann", "7"]
    with pytest.raises(JobNotFound, match="already completed"):
        await mesh.hook("fulfil.signal", data)


async def test_a_hook_is_checked(client: Client, mesh: HotMesh) -> None:
    """By the stored graph: the signal's name, the type of its data; and the run must be there."""
    async with Worker(client, workflows=[fulfil], task_queue=QUEUE):
        pass
    await client.start(fulfil(), id="order-1", task_queue=QUEUE)
    with pytest.raises(ConfigurationError, match="no signal 'none'"):
        await mesh.hook("fulfil.signal", {"id": "order-1", "name": "none", "data": 1})
    with pytest.raises(PayloadError, match="nothing was sent"):
        await mesh.hook("fulfil.signal", {"id": "order-1", "name": "approval", "data": {}})
    with pytest.raises(ConfigurationError, match="unknown fields"):
        await mesh.hook("fulfil.signal", {"id": "order-1", "name": "more", "text": 1})
    with pytest.raises(ConfigurationError, match="no status or code"):
        await mesh.hook("fulfil.signal", {"id": "order-1", "name": "more", "data": 1}, code=202)
    with pytest.raises(JobNotFound):
        await mesh.hook("fulfil.signal", {"id": "order-2", "name": "more", "data": 1})
    with pytest.raises(ConfigurationError):  # neither a workflow's nor a graph's
        await mesh.hook("other.signal", {"id": "order-1", "name": "more", "data": 1})


async def test_scrub_deletes_ended_runs_only(client: Client, mesh: HotMesh) -> None:
    """An open one is refused; of an ended one nothing stays, and its id is not found any more."""
    handle = await client.start(fulfil(), id="order-1", task_queue=QUEUE)
    with pytest.raises(ConfigurationError, match=r"still runs.*interrupt\('fulfil', 'order-1'\)"):
        await mesh.scrub("order-1")
    await mesh.interrupt("fulfil", "order-1")
    await mesh.scrub("order-1")
    with pytest.raises(JobNotFound):
        await mesh.get_status("order-1")
    with pytest.raises(durable.WorkflowNotFound):
        await handle.history()
