"""Attributes and the entity of a function's run: seen, found, and folded exactly once."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker
from tests.waiting import eventually

go = durable.Signal("go")


@durable.activity
async def double(n: int) -> int:
    """Twice as much."""
    return 2 * n


@durable.workflow
async def order(customer: str, steps: int) -> dict[str, Any]:
    """Does something to its state before, between and after its steps."""
    durable.set_attributes(customer=customer, vip=True, total=0)
    state = durable.entity()
    state.set({"lines": [], "address": {"city": "Lyon"}})
    for n in range(steps):
        amount = await double(n)
        durable.attributes().incr("total", amount)
        durable.attributes().mult("factor", 2)
        state.append("lines", {"n": n, "amount": amount})
        state.increment("sum", amount)
    await go.receive()
    state.toggle("done")
    durable.attributes().delete("vip")
    return {"attributes": durable.attributes().as_dict(), "entity": state.get()}


@durable.workflow
async def waiting(name: str) -> str:
    """Says who it is, and waits; no step of its own."""
    durable.set_attributes(name=name)
    await go.receive()
    return str(durable.attributes().get("name"))


@durable.workflow
async def begun() -> dict[str, Any]:
    """What it was started with, and what became of it."""
    first = durable.attributes().as_dict(), durable.entity().get()
    durable.entity().merge({"order": {"paid": True}})
    durable.attributes().incr("tries")
    await go.receive()
    return {"first": list(first), "entity": durable.entity().get()}


@durable.workflow
async def spoiled() -> str:
    """Raises where an operation does not fit, and goes on with what was before."""
    state = durable.entity()
    state.set({"name": "ann"})
    for wrong in (
        lambda: state.increment("name"),
        lambda: state.append("name", 1),
        lambda: durable.set_attributes(a=1, b=float("nan")),
        lambda: state.merge({"x": object()}),
    ):
        try:
            wrong()
        except durable.DurableError:
            continue
        raise AssertionError("it was taken")
    assert durable.attributes().as_dict() == {}
    return str(state.get("name"))


EXPECTED = {
    "attributes": {"customer": "ann", "total": 6, "factor": 8},
    "entity": {
        "lines": [{"n": 0, "amount": 0}, {"n": 1, "amount": 2}, {"n": 2, "amount": 4}],
        "address": {"city": "Lyon"},
        "sum": 6,
        "done": True,
    },
}


async def test_state_is_seen_and_found_from_outside(client: Client) -> None:
    """While the run waits, and after its end: describe shows it, list and count find by it."""
    async with Worker(client, workflows=[order], activities=[double]):
        handle = await client.start(order("ann", 3), id="o-1")
        other = await client.start(order("bob", 1), id="o-2")
        wanted: dict[str, Any] = {"customer": "ann", "vip": True, "total": 6}
        await eventually(lambda: _has(client, wanted))
        described = await handle.describe()
        assert described.attributes == {**wanted, "factor": 8}
        assert described.entity is not None
        assert described.entity["sum"] == 6
        await handle.signal(go)
        await other.signal(go)
        assert await handle.result(timeout=60) == EXPECTED
        await other.result(timeout=60)
    described = await handle.describe()
    assert (described.attributes, described.entity) == (EXPECTED["attributes"], EXPECTED["entity"])
    assert [run.id for run in await client.list(attributes={"customer": "ann"})] == ["o-1"]
    assert [run.id for run in await client.list(attributes={})] == ["o-2", "o-1"]
    assert await client.count(attributes={"factor": 2}, workflow="order") == 1
    assert await client.count(attributes={"customer": "ann", "total": 7}) == 0
    assert await client.count(attributes={"total": "6"}) == 0
    assert await client.list(attributes={"customer' or 1=1 --": "x"}) == []


async def _has(client: Client, attributes: dict[str, Any]) -> bool:
    return await client.count(attributes=attributes) == 1


async def test_a_cold_fold_comes_to_the_same_state(client: Client) -> None:
    """Another worker folds the history from its start: every operation has happened once."""
    async with Worker(client, workflows=[order], activities=[double]):
        handle = await client.start(order("ann", 3))
        await eventually(lambda: _has(client, {"total": 6}))
    await handle.signal(go)
    async with Worker(client, workflows=[order], activities=[double]):
        assert await handle.result(timeout=60) == EXPECTED
    described = await handle.describe()
    assert (described.attributes, described.entity) == (EXPECTED["attributes"], EXPECTED["entity"])


async def test_state_without_a_step_is_written_at_once(client: Client) -> None:
    """A run that only waits for a signal is found while it waits."""
    async with Worker(client, workflows=[waiting]):
        handle = await client.start(waiting("zoë"))
        await eventually(lambda: _has(client, {"name": "zoë"}))
        await handle.signal(go)
        assert await handle.result(timeout=60) == "zoë"


async def test_a_run_begins_with_what_it_was_started_with(client: Client) -> None:
    """Found before any worker saw it; folded from the same, cold or warm; a bad start is none."""
    entity: dict[str, Any] = {"order": {"id": 1e20, "city": "Łódź"}, "z": 1, "a": [None]}
    handle = await client.start(
        begun(), id="b", attributes={"customer": "ann", "rate": 2.5}, entity=entity
    )
    assert await client.count(attributes={"customer": "ann"}) == 1
    for _ in range(2):
        async with Worker(client, workflows=[begun]):
            await eventually(lambda: _has(client, {"customer": "ann", "tries": 1}))
    await handle.signal(go)
    async with Worker(client, workflows=[begun]):
        result = await handle.result(timeout=60)
    assert result["first"] == [{"customer": "ann", "rate": 2.5}, entity]
    assert isinstance(result["first"][1]["order"]["id"], float)
    assert result["entity"] == {**entity, "order": {**entity["order"], "paid": True}}
    assert (await client.handle("b").history())[0].data["entity"] == entity
    with pytest.raises(durable.PayloadError, match="attribute 'tags' must be text"):
        await client.start(begun(), id="c", attributes={"tags": ["a"]})  # type: ignore[dict-item]
    with pytest.raises(
        durable.ConfigurationError,
        match=r"unknown options \['atributes'\]; known are \['attributes', .*'id', .*'task_queue'",
    ):
        await client.start(begun(), id="c", atributes={})  # type: ignore[call-overload]
    with pytest.raises(durable.WorkflowNotFound):
        await client.handle("c").status()


async def test_what_does_not_fit_raises_and_changes_nothing(client: Client) -> None:
    """In the function, at the call; what was there stays."""
    async with Worker(client, workflows=[spoiled]):
        assert await client.execute(spoiled()) == "ann"


async def test_state_belongs_to_workflow_code() -> None:
    """Outside of a run the message says where to go."""
    for verb in (durable.attributes, durable.entity, durable.set_attributes):
        with pytest.raises(durable.DurableError, match="only in the code of a running workflow"):
            verb()


async def test_finding_is_served_by_the_index(client: Client, dsn: str) -> None:
    """Among many runs, the plan of the statement that lists by attributes uses the index."""
    direct = await asyncpg.connect(dsn, server_settings={"search_path": client.namespace})
    try:
        await asyncio.gather(*(client.start("nobody", attributes={"n": n}) for n in range(300)))
        await direct.execute("analyze jobs")
        plan = await direct.fetch(
            "explain select run_id from jobs where scope = '' and attributes @> '{\"n\": 7}'"
        )
        assert any("jobs_attributes" in row[0] for row in plan), plan
    finally:
        await direct.close()
    assert await client.count(attributes={"n": 7}) == 1
