# ruff: noqa: E501 - graphs are wider than code
"""A graph's `worker` topic is served by an `@activity` of a `Worker`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

import durable
from durable.client.client import Client
from durable.errors import JobFailed
from durable.postgres.database import Database
from durable.worker.worker import Worker
from tests.integration.hotmesh.conftest import Begin
from tests.waiting import eventually

GRAPH = """
app:
  id: shop
  version: '1'
  graphs:
    - subscribes: pay
      activities:
        t1: {type: trigger}
        w1:
          type: worker
          topic: '{t1.output.data.topic}'
          retry: {maximumAttempts: 2, backoffCoefficient: 1, initialInterval: 0.01s}
          input: {maps: {amount: '{t1.output.data.amount}', order: '{t1.output.data.order}'}}
          job: {maps: {got: '{$self.output.data}'}}
      transitions: {t1: [{to: w1}]}
    - subscribes: pay.by.its.own
      activities:
        t1: {type: trigger}
        w1: {type: worker, topic: once, input: {maps: {amount: 1, order: {id: a}}}}
      transitions: {t1: [{to: w1}]}
"""

calls: list[str] = []


class Order(BaseModel):
    """What is paid."""

    id: str


class Receipt(BaseModel):
    """That it was."""

    order: str
    amount: int
    note: str = "thanks"


@durable.activity
async def charge(order: Order, amount: int) -> Receipt:
    """An object, from typed arguments."""
    return Receipt(order=order.id, amount=amount)


@durable.activity
def total(order: Order, amount: int) -> int:
    """A number, on a thread."""
    return amount + len(order.id)


@durable.activity
async def flaky(order: Order, amount: int) -> str:
    """Fails the first time."""
    calls.append(order.id)
    if len(calls) == 1:
        raise ConnectionError("busy")
    return f"{amount}"


@durable.activity(retry=durable.RetryPolicy(maximum_attempts=1))
async def once(order: Order, amount: int) -> None:
    """Fails, and may not be repeated."""
    calls.append(order.id)
    raise ValueError(f"no {amount}")


@durable.activity(start_to_close_timeout=0.05)
async def slow(order: Order, amount: int) -> None:  # noqa: ARG001 - given by the graph
    """Takes too long."""
    await asyncio.sleep(60)


SERVED = [charge, total, flaky, once, slow]


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


@pytest.mark.parametrize(
    ("topic", "got"),
    [
        ("charge", {"order": "a", "amount": 7, "note": "thanks"}),
        ("total", {"result": 8}),
        ("flaky", {"result": "7"}),
    ],
)
async def test_an_activity_serves_a_topic(
    begin: Begin, client: Client, topic: str, got: dict[str, Any]
) -> None:
    """Data are its arguments by name; an object is the answer, any other result stands in `result`."""
    mesh = await begin(GRAPH, app_id="shop")
    async with Worker(client, activities=SERVED, task_queue="shop"):
        out = await mesh.pubsub(
            "pay", {"topic": topic, "amount": 7, "order": {"id": "a"}}, timeout=60
        )
    assert out["data"] == {"got": got}


async def test_the_policy_is_the_graphs_else_the_activitys(begin: Begin, client: Client) -> None:
    """Two attempts where the graph says so; one where it says nothing and the function does."""
    mesh = await begin(GRAPH, app_id="shop")
    async with Worker(client, activities=SERVED, task_queue="shop"):
        with pytest.raises(JobFailed, match="ValueError: no 7") as failed:
            await mesh.pubsub(
                "pay", {"topic": "once", "amount": 7, "order": {"id": "a"}}, timeout=60
            )
        assert (failed.value.code, len(calls)) == (500, 2)
        calls.clear()
        with pytest.raises(JobFailed, match="ValueError: no 1"):
            await mesh.pubsub("pay.by.its.own", {}, timeout=60)
        assert len(calls) == 1


async def test_what_does_not_fit_fails_at_once(begin: Begin, client: Client) -> None:
    """Data that are no arguments are not tried again; a timeout has the code 504."""
    mesh = await begin(GRAPH, app_id="shop")
    async with Worker(client, activities=SERVED, task_queue="shop"):
        with pytest.raises(JobFailed, match="amount"):
            await mesh.pubsub(
                "pay", {"topic": "charge", "amount": "?", "order": {"id": "a"}}, timeout=60
            )
        with pytest.raises(JobFailed, match="start_to_close") as late:
            await mesh.pubsub(
                "pay", {"topic": "slow", "amount": 1, "order": {"id": "a"}}, timeout=60
            )
    assert late.value.code == 504


@durable.workflow
async def invoice(order: Order) -> int:
    """A function that calls the same activity."""
    return await total(order, 1)


async def test_one_worker_serves_functions_and_graphs(begin: Begin, client: Client) -> None:
    """The same activity is a step of a workflow and the worker of a graph, in the same slots."""
    mesh = await begin(GRAPH, app_id="shop")
    async with Worker(
        client, workflows=[invoice], activities=SERVED, task_queue="shop", max_threads=1
    ):
        data = {"topic": "total", "amount": 7, "order": {"id": "a"}}
        results = await asyncio.gather(
            client.execute(invoice(Order(id="abc")), task_queue="shop"),
            *[mesh.pubsub("pay", data, timeout=60) for _ in range(5)],
        )
    assert results[0] == 4
    assert [r["data"] for r in results[1:]] == [{"got": {"result": 8}}] * 5


async def test_a_stop_gives_back_what_has_not_ended(
    begin: Begin, client: Client, database: Database
) -> None:
    """An attempt that a stop cuts off is free again, uncounted, and another worker runs it."""
    began, mesh = asyncio.Event(), await begin(GRAPH, app_id="shop")

    @durable.activity(name="charge")
    async def stuck(order: Order, amount: int) -> None:  # noqa: ARG001 - given by the graph
        began.set()
        await asyncio.sleep(60)

    data = {"topic": "charge", "amount": 7, "order": {"id": "a"}}
    async with Worker(client, activities=[stuck], task_queue="shop", grace=0.05):
        jid = await mesh.pub("pay", data)
        await began.wait()
    rows = await database.fetch(
        f"select reserved_by, retry_attempt from {database.schema}.worker_streams where msg_type = 'worker'"
    )
    assert [tuple(row) for row in rows] == [(None, 0)]

    async def done() -> bool:
        return await mesh.get_status(jid) == 0

    async with Worker(client, activities=[charge], task_queue="shop"):
        await eventually(done)


async def test_a_worker_finds_graphs_that_come_later(
    begin: Begin, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was there before the app was activated serves its topics."""
    monkeypatch.setattr("durable.worker.graph_topics.GRAPHS_EVERY", 0.05)
    async with Worker(client, activities=SERVED, task_queue="shop"):
        mesh = await begin(GRAPH, app_id="shop")
        data = {"topic": "charge", "amount": 7, "order": {"id": "a"}}
        assert (await mesh.pubsub("pay", data, timeout=60))["metadata"]["js"] == 0


async def test_a_paused_topic_is_left_alone(
    begin: Begin, client: Client, database: Database
) -> None:
    """A throttle of a topic holds for the activity that serves it; the others go on."""
    mesh = await begin(GRAPH, app_id="shop")
    data = {"amount": 7, "order": {"id": "a"}}
    async with Worker(client, activities=SERVED, task_queue="shop"):
        assert await mesh.throttle(throttle=-1, topic="charge")
        jid = await mesh.pub("pay", {"topic": "charge", **data})
        await mesh.pubsub("pay", {"topic": "total", **data}, timeout=60)
        rows = await database.fetch(
            f"select reserved_by from {database.schema}.worker_streams where topic = 'charge'"
        )
        assert [tuple(row) for row in rows] == [(None,)]
        assert await mesh.throttle(throttle=0, topic="charge")

        async def done() -> bool:
            return await mesh.get_status(jid) == 0

        await eventually(done)
