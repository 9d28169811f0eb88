"""`pub` and `pubsub` of a workflow's name begin runs of functions, with the arguments by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import pytest
import pytest_asyncio
from pydantic import Field

import durable
from durable.client.client import Client
from durable.errors import ConfigurationError, JobFailed, JobTimeout, PayloadError
from durable.hotmesh.mesh import HotMesh
from durable.worker.worker import Worker
from tests.waiting import eventually

QUEUE = "orders"
GRAPH = """
app:
  id: orders
  version: 1
  graphs:
    - subscribes: ask
      activities: {start: {type: trigger, job: {maps: {said: '{$self.input.data.text}'}}}}
"""

answer = durable.Signal("answer", str)


@durable.workflow
async def add(a: int, b: int = 1) -> int:
    """The sum."""
    durable.set_attributes(sum=a + b)
    return a + b


@durable.workflow
async def ask(who: str) -> dict[str, str]:
    """Waits for an answer; "nobody" has none."""
    if who == "nobody":
        raise ValueError("nobody answers")
    return {"who": who, "said": await answer.receive()}


@durable.workflow
async def order(amount: Annotated[int, Field(ge=1)]) -> int:
    """Takes what is at least 1."""
    return amount


@pytest_asyncio.fixture
async def mesh(client: Client) -> AsyncIterator[HotMesh]:
    """The app that the task queue is."""
    async with await HotMesh.init(app_id=QUEUE, engine={"connection": client}) as joined:
        yield joined


@pytest_asyncio.fixture
async def worker(client: Client) -> AsyncIterator[Worker]:
    """Serves the functions."""
    async with Worker(client, workflows=[add, ask, order], task_queue=QUEUE) as serving:
        yield serving


@pytest.mark.usefixtures("worker")
async def test_pubsub_gives_the_result(client: Client, mesh: HotMesh) -> None:
    """The data are the arguments by name, without defaults; the answer is that of `get_state`."""
    job = await mesh.pubsub("add", {"a": 2}, timeout=60)
    assert job["data"] == {"result": 3}
    metadata = job["metadata"]
    assert (metadata["tpc"], metadata["app"], metadata["js"]) == ("add", QUEUE, 0)
    assert job["data"] == (await mesh.get_state("add", metadata["jid"]))["data"]
    assert await client.handle(metadata["jid"], add).result() == 3


@pytest.mark.usefixtures("worker")
async def test_pub_begins_a_run_once_per_request(client: Client, mesh: HotMesh) -> None:
    """Its id is that of a handle; searchable attributes stand from the beginning."""
    jid = await mesh.pub("ask", {"who": "ann"}, search={"team": "money"}, request_id="r")
    assert await mesh.pub("ask", {"who": "ann"}, request_id="r") == jid
    assert await client.count(workflow="ask") == 1
    assert await mesh.query_state(jid, ["team"]) == {"team": "money"}
    await client.handle(jid, ask).signal(answer, "yes")
    assert await client.handle(jid, ask).result(timeout=60) == {"who": "ann", "said": "yes"}


@pytest.mark.usefixtures("worker")
async def test_an_end_without_a_result_is_an_error_with_its_code(
    client: Client, mesh: HotMesh
) -> None:
    """Failed is 500, cancelled 499, terminated 410; a run that goes on 504."""
    with pytest.raises(JobFailed, match="nobody answers") as failed:
        await mesh.pubsub("ask", {"who": "nobody"}, timeout=60)
    assert failed.value.code == 500
    with pytest.raises(JobTimeout) as late:
        await mesh.pubsub("ask", {"who": "ann"}, timeout=0.05)
    assert late.value.code == 504
    assert await mesh.get_status(str(late.value.job_id)) == 1
    await mesh.interrupt("ask", str(late.value.job_id))

    async def ending(code: int) -> None:
        waiting = asyncio.create_task(mesh.pubsub("ask", {"who": "bob"}, timeout=60))

        async def begun() -> str | None:
            return next((r.id for r in await client.list(workflow="ask", state="running")), None)

        jid = await eventually(begun)
        handle = client.handle(jid)
        await (handle.cancel() if code == 499 else handle.terminate())
        with pytest.raises(JobFailed) as ended:
            await waiting
        assert ended.value.code == code

    await ending(499)
    await ending(410)


@pytest.mark.usefixtures("worker")
async def test_data_that_are_no_arguments_are_refused(client: Client, mesh: HotMesh) -> None:
    """By the stored graph: nothing is started. What only the function can refuse fails with 400."""
    for data in ({}, {"a": "x"}, {"a": 1, "c": 2}):
        with pytest.raises(PayloadError, match="nothing was started"):
            await mesh.pub("add", data)
    assert await client.count() == 0
    with pytest.raises(JobFailed, match="amount") as refused:
        await mesh.pubsub("order", {"amount": 0}, timeout=60)
    assert refused.value.code == 400
    job = await mesh.get_state("order", str(refused.value.job_id))
    assert (job["metadata"]["js"], job["metadata"]["err"]["code"]) == (0, 400)
    assert await client.count(state="failed") == 1


async def test_a_topic_without_a_stored_graph_is_refused(client: Client, mesh: HotMesh) -> None:
    """No worker has deployed the workflow yet: nothing would know its arguments."""
    with pytest.raises(ConfigurationError, match="no version of app 'orders' is active"):
        await mesh.pub("add", {"a": 1})
    async with Worker(client, workflows=[add], task_queue=QUEUE):
        pass
    await mesh.pub("add", {"a": 1})  # its graph is stored: a worker may come later
    with pytest.raises(ConfigurationError, match="no version of app 'orders' is active"):
        await mesh.pub("none", {"a": 1})


async def test_what_only_graphs_take_is_refused(client: Client, mesh: HotMesh) -> None:
    """A run of a function is never pending, has no kind, no markers and no context."""
    async with Worker(client, workflows=[add], task_queue=QUEUE):
        pass
    for more in ({"pending": 5}, {"entity": "sum"}, {"marker": {"-m": 1}}):
        with pytest.raises(ConfigurationError, match="take no"):
            await mesh.pub("add", {"a": 1}, **more)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="take no context"):
        await mesh.pub("add", {"a": 1}, {"metadata": {"trc": "1"}})


async def test_a_graph_of_the_active_version_has_its_topic(client: Client, mesh: HotMesh) -> None:
    """Beside it the workflows of the task queue have theirs."""
    async with Worker(client, workflows=[add], task_queue=QUEUE):
        await mesh.deploy(GRAPH)
        await mesh.activate("1")
        assert (await mesh.pubsub("ask", {"text": "x"}, timeout=60))["data"] == {"said": "x"}
        assert (await mesh.pubsub("add", {"a": 1}, timeout=60))["data"] == {"result": 2}


async def test_a_graph_cannot_have_the_topic_of_a_workflow(client: Client, mesh: HotMesh) -> None:
    """A deploy of one is refused where workers have deployed a workflow of that name."""
    async with Worker(client, workflows=[ask], task_queue=QUEUE):
        pass
    with pytest.raises(ConfigurationError, match="'ask', which is the name of a workflow"):
        await mesh.deploy(GRAPH)
    assert "ask2" in str(await mesh.deploy(GRAPH.replace("ask", "ask2")))


async def test_a_version_is_not_activated_whose_topic_a_workflow_has_since(
    client: Client, mesh: HotMesh
) -> None:
    """It was deployed before the worker came; the version that was active stays so."""
    await mesh.deploy(GRAPH.replace("ask", "ask2"))
    await mesh.activate("1")
    await mesh.deploy(GRAPH.replace("version: 1", "version: 2"))
    async with Worker(client, workflows=[ask], task_queue=QUEUE):
        pass
    with pytest.raises(ConfigurationError, match="version 2 subscribes to 'ask', which is the"):
        await mesh.activate("2")
    assert await mesh.active_version() == "1"
    with pytest.raises(ConfigurationError, match=r"version 3 of app .* is not deployed"):
        await mesh.activate("3")


async def test_a_worker_cannot_have_a_workflow_with_the_topic_of_a_graph(
    client: Client, mesh: HotMesh
) -> None:
    """It does not start, and says which name it is."""
    await mesh.deploy(GRAPH)
    await mesh.activate("1")
    with pytest.raises(ConfigurationError, match="subscribes to 'ask', which is also the name"):
        await Worker(client, workflows=[ask], task_queue=QUEUE).start()
    async with Worker(client, workflows=[ask], task_queue="elsewhere"):
        pass
