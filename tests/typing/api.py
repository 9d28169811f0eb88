"""The public types as users see them. Never executed: mypy --strict and pyright read it."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NoReturn, ParamSpec, TypeVar, assert_type

import durable


@dataclass
class Order:
    id: str


@dataclass
class Receipt:
    id: str


@dataclass
class Label:
    text: str


@dataclass
class Approval:
    by: str


@durable.activity
async def charge(order: Order) -> Receipt:
    return Receipt(order.id)


@durable.activity(
    retry=durable.RetryPolicy(maximum_attempts=5, backoff_coefficient=2, maximum_interval="300s"),
    start_to_close_timeout=dt.timedelta(minutes=1),
)
async def print_label(order: Order, *, copies: int = 1) -> Label:
    return Label(order.id * copies)


@durable.activity
def checksum(data: bytes) -> int:
    return len(data)


@durable.activity(name="archive", task_queue="slow", priority=-1, heartbeat_timeout="10s")
def archive(path: str) -> None: ...


@durable.workflow
async def of_graphs(order: Order) -> Receipt | None:
    """A graph gives data, or what they are read as."""
    assert_type(await durable.graph("price", {"id": order.id}), dict[str, Any])
    assert_type(await durable.graph("price", app="shop", returns=list[int]), list[int])
    both = await asyncio.gather(durable.graph("price", returns=Label), charge(order))
    assert_type(both, tuple[Label, Receipt])
    return await durable.graph("price", returns=Receipt | None)


P = ParamSpec("P")
R = TypeVar("R")


def logged(fn: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """As decorators of async functions are usually typed."""
    return fn


@durable.activity
@logged
async def measure(order: Order) -> int:
    return len(order.id)


@durable.activity(priority=1)
@logged
async def refuse(order: Order) -> NoReturn:
    raise ValueError(order)


@durable.workflow
@logged
async def weighed(order: Order) -> int:
    assert_type(await measure(order), int)
    return await asyncio.create_task(measure(order))


approval = durable.Signal("approval", Approval)
go = durable.Signal("go")
tags = durable.Signal("tags", list[str])


@durable.workflow
async def fulfil(order: Order) -> Label:
    receipt = await charge(order)
    assert_type(receipt, Receipt)
    assert_type(await print_label(order, copies=2), Label)
    assert_type(await checksum(b""), int)
    assert_type(await archive("x"), None)
    both = await asyncio.gather(charge(order), print_label(order))
    assert_type(both, tuple[Receipt, Label])
    async with asyncio.TaskGroup() as group:
        task = group.create_task(charge(order))
    assert_type(task, asyncio.Task[Receipt])
    assert_type(await asyncio.wait_for(charge(order), 5), Receipt)
    assert_type(await approval.receive(), Approval)
    assert_type(await go.receive(), None)
    assert_type(await tags.receive(), list[str])
    async for decision in approval:
        assert_type(decision, Approval)
    await durable.sleep("1 hour")
    await durable.wait_until(lambda: bool(receipt.id), timeout=dt.timedelta(days=30))
    assert_type(durable.now(), dt.datetime)
    assert_type(durable.info().id, str)
    durable.set_attributes(customer="ann", total=9.5, vip=None)
    assert_type(durable.attributes(), durable.Attributes)
    assert_type(durable.attributes().incr("total"), int | float)
    assert_type(durable.attributes().delete("vip"), int)
    assert_type(durable.entity(), durable.Entity)
    assert_type(durable.entity().toggle("paid"), bool)
    assert_type(durable.entity().increment(("lines", 0, "n"), 0.5), int | float)
    durable.logger.info("charged %s", receipt.id)
    return Label("")


@durable.workflow(name="orders.parent", task_queue="orders")
async def parent(order: Order) -> str:
    assert_type(await fulfil(order), Label)
    assert_type(await fulfil.options(id="child-1")(order), Label)
    return order.id


def calls(order: Order) -> None:
    assert_type(charge(order), durable.Call[Receipt])
    assert_type(fulfil(order), durable.Call[Label])
    assert_type(charge.options(task_queue="gpu")(order), durable.Call[Receipt])
    assert_type(charge.name, str)


async def client_side(order: Order) -> None:
    client = await durable.connect()
    handle = await client.start(fulfil(order), id="order-1")
    assert_type(handle, durable.Handle[Label])
    assert_type(await handle.result(), Label)
    assert_type(await handle.result(timeout="5s"), Label)
    assert_type(await client.execute(parent(order)), str)
    await handle.signal(approval, Approval(by="ann"))
    await handle.signal(go)
    await handle.signal("approval", {"by": "ann"})
    begun = await client.start(fulfil(order), attributes={"vip": True}, entity={"lines": []})
    assert_type(begun, durable.Handle[Label])
    assert_type(await client.list(attributes={"vip": True}), list[durable.RunSummary])
    assert_type(await client.list(state="running", workflow=fulfil), list[durable.RunSummary])
    assert_type(await client.count(state=["failed", "cancelled"], workflow="fulfil"), int)
    assert_type(await handle.status(), durable.RunState)
    assert_type((await client.list())[0].state, durable.RunState)
    assert_type((await begun.describe()).state, durable.RunState)
    assert_type((await begun.describe()).attributes, dict[str, str | int | float | bool])
    named = await client.start("fulfil", {"id": "o-1"}, id="order-2")
    await named.result()
    assert_type(client.handle("order-1"), durable.Handle[Any])
    assert_type(client.handle("order-1", fulfil), durable.Handle[Label])
    assert_type(await client.handle("order-1", fulfil).result(), Label)
    assert_type(await client.execute("fulfil", {"id": "o-1"}, id="order-3"), Any)
    worker = durable.Worker(client, workflows=[fulfil, parent], activities=[charge, checksum])
    await worker.run()
    kept = durable.RetentionPolicy(completed="7 days", failed=None)
    await durable.connect(retention=kept)
    await durable.connect(retention="2 weeks")
    assert_type(await client.prune(older_than="30d", keep=["failed"]), durable.Pruned)
