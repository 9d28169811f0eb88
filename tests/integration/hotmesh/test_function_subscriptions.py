"""`sub` and `psub` tell of the ends of functions' runs, by the name of their workflow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

import durable
from durable.client.client import Client
from durable.errors import ConfigurationError
from durable.hotmesh import subscriptions
from durable.hotmesh.mesh import HotMesh
from durable.postgres.listener import Listener
from durable.worker.worker import Worker
from tests.waiting import eventually

QUEUE = "orders"
GRAPH = """
app:
  id: orders
  version: 1
  graphs:
    - subscribes: ask
      publishes: ask.done
      activities: {start: {type: trigger, stats: {id: '{$self.input.data.id}'}}}
"""
Heard = list[tuple[str, str, dict[str, Any]]]


@durable.workflow
async def add(a: int, b: int) -> int:
    """The sum."""
    if a < 0:
        raise ValueError("negative")
    return a + b


@durable.workflow
async def twice(a: int) -> int:
    """By a child."""
    return await add(a, a)


@pytest_asyncio.fixture
async def mesh(client: Client) -> AsyncIterator[HotMesh]:
    """The app that the task queue is."""
    async with await HotMesh.init(app_id=QUEUE, engine={"connection": client}) as joined:
        yield joined


@pytest_asyncio.fixture
async def worker(client: Client) -> AsyncIterator[Worker]:
    """Serves the functions."""
    async with Worker(client, workflows=[add, twice], task_queue=QUEUE) as serving:
        yield serving


def noting(heard: Heard) -> Any:
    """A callback that keeps what it gets."""
    return lambda topic, job: heard.append((topic, job["metadata"]["jid"], job))


async def count(heard: Heard, least: int) -> None:
    """Return when so much was heard."""

    async def enough() -> bool:
        return len(heard) >= least

    await eventually(enough)


@pytest.mark.usefixtures("worker")
async def test_every_end_of_a_workflow_is_told_once(client: Client, mesh: HotMesh) -> None:
    """Of runs that clients start, of children, of those that fail."""
    heard: Heard = []
    one: Heard = []
    await mesh.sub("add", noting(heard))
    await mesh.sub("add.x", noting(one))
    await client.execute(add(1, 2), id="x", task_queue=QUEUE)
    await client.execute(twice(2), id="t", task_queue=QUEUE)
    with pytest.raises(durable.WorkflowFailed):
        await client.execute(add(-1, 2), id="bad", task_queue=QUEUE)
    await count(heard, 3)
    assert {topic for topic, _, _ in heard} == {"add"}
    jobs = {jid: job for _, jid, job in heard}
    assert jobs["x"]["data"] == (await mesh.get_state("add", "x"))["data"] == {"result": 3}
    assert jobs["bad"]["metadata"]["err"]["code"] == 500
    assert [(topic, jid) for topic, jid, _ in one] == [("add", "x")]
    await mesh.unsub("add")
    await client.execute(add(1, 2), id="y", task_queue=QUEUE)
    assert len(heard) == 3


async def test_what_is_announced_needs_no_look(
    client: Client, mesh: HotMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ends a run notifies the subscribers of its topic; a termination does, too."""
    monkeypatch.setattr(subscriptions, "POLL", 1000.0)
    heard: Heard = []
    async with Worker(client, workflows=[add], task_queue=QUEUE):
        await mesh.sub("add", noting(heard))
        await mesh.psub("ad?", noting(heard))
        await client.execute(add(1, 2), id="x", task_queue=QUEUE)
        await count(heard, 2)
    handle = await client.start(add(1, 2), id="y", task_queue=QUEUE)
    await handle.terminate("enough")
    await count(heard, 4)
    assert [job["metadata"]["err"]["code"] for _, jid, job in heard if jid == "y"] == [410, 410]


@pytest.mark.usefixtures("worker")
async def test_what_no_announcement_told_of_is_found(
    client: Client, mesh: HotMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mesh that gets no notification looks once a second."""

    async def deaf(_self: Listener, _channel: str, _heard: Any) -> None:
        return

    monkeypatch.setattr(Listener, "listen", deaf)
    monkeypatch.setattr(Listener, "unlisten", deaf)
    heard: Heard = []
    await mesh.sub("add", noting(heard))
    await client.execute(add(1, 2), id="x", task_queue=QUEUE)
    await count(heard, 1)
    assert [jid for _, jid, _ in heard] == ["x"]
    await mesh.unsub("add")


async def test_patterns_fit_workflows_that_come_later(client: Client, mesh: HotMesh) -> None:
    """Names and ids are compared, and graphs and workflows are told of side by side."""
    heard: Heard = []
    one: Heard = []
    await mesh.psub("a*", noting(heard))
    await mesh.psub("*.x", noting(one))
    async with Worker(client, workflows=[add, twice], task_queue=QUEUE):
        await client.execute(add(1, 2), id="x", task_queue=QUEUE)
        await mesh.deploy(GRAPH)
        await mesh.activate("1")
        await mesh.sub("ask.done", noting(heard))
        await eventually(lambda: "ask.done" in mesh._parts.patterns._known, "the new topic")
        await mesh.pub("ask", {"id": "g"})
        await count(heard, 3)
    assert sorted((topic, jid) for topic, jid, _ in heard) == [
        ("add", "x"), ("ask.done", "g"), ("ask.done", "g"),
    ]  # fmt: skip
    assert [(topic, jid) for topic, jid, _ in one] == [("add.x", "x")]
    with pytest.raises(ConfigurationError, match="no workflow of its task queue has this name"):
        await mesh.sub("none", noting(heard))


async def test_a_subscription_is_known_as_long_as_it_lasts(
    client: Client, mesh: HotMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table that says what is to be announced is empty when nothing is; it is renewed."""
    heard: Heard = []
    await mesh.sub("add", noting(heard))
    await mesh.psub("a*", noting(heard))
    rows = f'select topic from "{client.namespace}".subscriptions order by 1'
    database = mesh._parts.host._resources.database
    assert [row["topic"] for row in await database.fetch(rows)] == ["*", "add"]
    await mesh.unsub("add")
    await mesh.punsub("a*")
    assert await database.fetch(rows) == []
    monkeypatch.setattr(subscriptions, "RENEW", 0.0)
    await mesh.sub("add", noting(heard))
    await database.fetch(f'delete from "{client.namespace}".subscriptions')

    async def again() -> bool:
        return bool(await database.fetch(rows))

    await eventually(again)
    await asyncio.wait_for(mesh.unsub("add"), 60)
