# ruff: noqa: E501 - graphs are wider than code
"""A graph awaits a workflow: its arguments, its result, its failures, and what a stop does to it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pydantic import BaseModel

import durable
from durable.client.client import Client
from durable.postgres.database import Database
from durable.worker.worker import Worker
from tests.integration.hotmesh.conftest import Begin
from tests.waiting import eventually

GRAPH = """
app:
  id: shop
  version: '1'
  graphs:
    - subscribes: buy
      activities:
        t1: {type: trigger}
        ship:
          type: await
          topic: '{t1.output.data.workflow}'
          app: default
          input: {maps: {order: '{t1.output.data.order}'}}
          job: {maps: {shipped: '{$self.output.data}'}}
        sorry:
          type: hook
          job: {maps: {sorry: true}}
      transitions:
        t1: [{to: ship}]
        ship: [{to: sorry, conditions: {code: [499, 500, 410, 504]}}]
"""


class Order(BaseModel):
    """What is bought."""

    item: str
    copies: int = 1


class Parcel(BaseModel):
    """What is sent."""

    item: str
    weight: int | None = None


@durable.workflow
async def pack(order: Order) -> Parcel:
    """An object."""
    return Parcel(item=order.item * order.copies)


@durable.workflow
async def count(order: dict[str, Any]) -> int:
    """No object."""
    return len(order)


@durable.workflow
async def refuse(order: dict[str, Any]) -> None:
    """Fails."""
    raise ValueError(f"no {order['item']}")


@durable.workflow
async def late(order: dict[str, Any]) -> None:  # noqa: ARG001 - given by the graph
    """Runs out of time."""
    async with asyncio.timeout(0.01):
        await durable.sleep("1 day")


@durable.workflow
async def wait(order: dict[str, Any]) -> None:  # noqa: ARG001 - given by the graph
    """Waits for ever."""
    await durable.sleep("1000 days")


SERVED = [pack, count, refuse, late, wait]


async def _child(database: Database) -> str | None:
    found: str | None = await database.fetchval(
        f"select jid from {database.schema}.jobs where scope = '' and finished_at is null"
    )
    return found


@pytest.mark.parametrize(
    ("workflow", "data"),
    [("pack", {"item": "lamplamp"}), ("count", {"result": 2})],
)
async def test_a_graph_awaits_a_workflow(
    begin: Begin, client: Client, workflow: str, data: dict[str, Any]
) -> None:
    """It gets the mapped data by name; an object is the data, any other result stands in `result`."""
    mesh = await begin(GRAPH, app_id="shop")
    async with Worker(client, workflows=SERVED):
        order = {"item": "lamp", "copies": 2}
        out = await mesh.pubsub("buy", {"workflow": workflow, "order": order}, timeout=60)
    assert out["data"]["shipped"].items() >= data.items()
    assert "__fields_set__" not in out["data"]["shipped"]


async def test_it_starts_without_a_worker(begin: Begin, client: Client, database: Database) -> None:
    """The workflow and the graph's step are one transaction; a worker that comes later runs it."""
    mesh = await begin(GRAPH, app_id="shop")
    jid = await mesh.pub("buy", {"workflow": "count", "order": {"item": "lamp"}})
    child = await _child(database)
    assert child is not None
    job = await mesh.get_state("buy", jid)
    description = await client.handle(child).describe()
    assert str(description.parent_run_id) == job["metadata"]["gid"]
    engine = {"connection": client, "readonly": True}
    async with await durable.HotMesh.init(app_id="default", engine=engine) as functions:
        run = (await functions.get_state("count", child))["metadata"]
    assert (run["pj"], run["pg"], run["pa"]) == (jid, job["metadata"]["gid"], "ship")
    async with Worker(client, workflows=SERVED):
        await client.handle(child).result(timeout=60)
        await eventually(lambda: _is_done(mesh, jid))


async def _is_done(mesh: durable.HotMesh, jid: str) -> bool:
    return await mesh.get_status(jid) == 0


@pytest.mark.parametrize(("workflow", "code"), [("refuse", 500), ("late", 504)])
async def test_its_failure_has_a_code(
    begin: Begin, client: Client, database: Database, workflow: str, code: int
) -> None:
    """A transition by the code of the failure is followed, and the error says what it was."""
    mesh = await begin(GRAPH, app_id="shop")
    async with Worker(client, workflows=SERVED):
        out = await mesh.pubsub(
            "buy", {"workflow": workflow, "order": {"item": "lamp"}}, timeout=60
        )
    assert out["data"] == {"shipped": {}, "sorry": True}
    error = await _error(database)
    assert error["code"] == code
    assert error["message"] == ("ValueError: no lamp" if code == 500 else "TimeoutError")


async def test_data_that_are_no_arguments_fail_it(
    begin: Begin, client: Client, database: Database
) -> None:
    """The run fails with the code 400, and is not suspended: no other code would read them."""
    mesh = await begin(GRAPH.replace("code: [499", "code: [400, 499"), app_id="shop")
    async with Worker(client, workflows=SERVED):
        data = {"workflow": "pack", "order": {"item": 7}}
        out = await mesh.pubsub("buy", data, timeout=60)
    assert out["data"] == {"shipped": {}, "sorry": True}
    error = await _error(database)
    assert error["code"] == 400
    assert "item" in error["message"]


async def test_whatever_ends_it_tells_the_graph(
    begin: Begin, client: Client, database: Database
) -> None:
    """An earlier build knows nothing of graphs as parents: its statements tell them all the same."""
    mesh = await begin(GRAPH, app_id="shop")
    async with Worker(client, workflows=SERVED):
        jid = await mesh.pub("buy", {"workflow": "wait", "order": {"item": "lamp"}})
        await eventually(lambda: _child(database))
    await database.fetch(
        f"update {database.schema}.jobs set state = 'completed', output = '7', status = 0,"
        " finished_at = now() where scope = ''"
    )
    await eventually(lambda: _is_done(mesh, jid))
    assert (await mesh.get_state("buy", jid))["data"] == {"shipped": {"result": 7}}


@pytest.mark.parametrize(("how", "code"), [("cancel", 499), ("terminate", 410)])
@pytest.mark.parametrize("served", [True, False])
async def test_an_end_from_outside_reaches_the_graph(
    begin: Begin, client: Client, database: Database, how: str, code: int, *, served: bool
) -> None:
    """Cancelled or terminated, held by a worker or by none, its end is the answer."""
    mesh = await begin(GRAPH, app_id="shop")
    jid = await mesh.pub("buy", {"workflow": "wait", "order": {"item": "lamp"}})
    handle: durable.Handle[Any] = client.handle(await _child(database) or "")
    if served or how == "cancel":
        async with Worker(client, workflows=SERVED):
            await (handle.cancel() if how == "cancel" else handle.terminate())
            await eventually(lambda: _is_done(mesh, jid))
    else:
        await handle.terminate()
        await eventually(lambda: _is_done(mesh, jid))
    assert (await _error(database))["code"] == code


async def _error(database: Database) -> dict[str, Any]:
    found: str = await database.fetchval(
        f"select error from {database.schema}.activities where aid = 'ship' and error is not null"
    )
    error: dict[str, Any] = json.loads(found)
    return error


go_on = durable.Signal("go_on")


@durable.workflow
async def stubborn(order: dict[str, Any]) -> str:
    """Swallows its cancellation, and waits on."""
    try:
        await durable.sleep("1000 days")
    except asyncio.CancelledError:
        await go_on.receive()
    return str(order)


@pytest.mark.parametrize(("workflow", "state"), [("wait", "cancelled"), ("stubborn", "terminated")])
async def test_an_interruption_descends_to_the_workflow(
    begin: Begin, client: Client, monkeypatch: pytest.MonkeyPatch, database: Database,
    workflow: str, state: str,
) -> None:  # fmt: skip
    """It is cancelled; one that goes on is terminated when its time is over."""
    monkeypatch.setattr("durable.engine.steps.cancellation.GRACE", 0.2)
    mesh = await begin(GRAPH, app_id="shop")
    async with Worker(client, workflows=[*SERVED, stubborn]):
        jid = await mesh.pub("buy", {"workflow": workflow, "order": {"item": "lamp"}})
        handle: durable.Handle[Any] = client.handle(await _child(database) or "")

        async def begun() -> bool:
            return bool((await handle.describe()).pending)

        async def ended() -> bool:
            return await handle.status() == state

        await eventually(begun)
        await mesh.interrupt("buy", jid, descend=True)
        await eventually(ended)


async def test_an_interruption_leaves_the_workflow_alone(
    begin: Begin, client: Client, database: Database
) -> None:
    """Without descending it goes on, and what it answers is of no use any more."""
    mesh = await begin(GRAPH, app_id="shop")
    jid = await mesh.pub("buy", {"workflow": "count", "order": {"item": "lamp"}})
    handle: durable.Handle[Any] = client.handle(await _child(database) or "")
    await mesh.interrupt("buy", jid)
    async with Worker(client, workflows=SERVED):
        assert await handle.result(timeout=60) == 1

    async def empty() -> bool:
        count = f"select count(*) = 0 from {database.schema}.engine_streams"
        return bool(await database.fetchval(count))

    await eventually(empty)


async def test_it_may_be_started_without_waiting(
    begin: Begin, client: Client, database: Database
) -> None:
    """With `await: false` the graph goes on with the workflow's id."""
    document = GRAPH.replace("app: default", "app: default\n          await: false")
    mesh = await begin(document, app_id="shop")
    order = {"workflow": "count", "order": {"item": "lamp"}}
    out = await mesh.pubsub("buy", order, timeout=60)
    started = out["data"]["shipped"]["job_id"]
    assert started == await _child(database)
    async with Worker(client, workflows=SERVED):
        assert await client.handle(started).result(timeout=60) == 1
