# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Entity documents and searchable attributes of graphs: operations, exactly once, and finding."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from durable.errors import ConfigurationError, DescriptorError, JobFailed, PayloadError
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin, echo
from tests.waiting import eventually

ORDERS = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: order
      expire: 3600
      activities:
        t1:
          type: trigger
          stats: {id: '{$self.input.data.id}'}
          entity: '{$self.input.data.kind}'
          state:
            - {op: entity.merge, value: {customer: {name: '{$self.input.data.customer}'}, lines: [], total: 0}}
            - {op: attributes.set, values: {customer: '{$self.input.data.customer}', open: true}}
        w1: {type: worker, topic: work, input: {maps: {amounts: '{t1.output.data.amounts}', seen: '{$job.entity.customer.name}'}}, state: [{op: attributes.set, values: {total: 0}}]}
        h1:
          type: hook
          hook: {topic: app.pay}
          state:
            - {op: entity.toggle, path: paid}
            - {op: attributes.delete, names: [open]}
          job: {maps: {total: '{$job.entity.total}', customer: '{$job.attributes.customer}'}}
      transitions: {t1: [{to: w1}], w1: [{to: h1}]}
      hooks:
        app.pay: [{to: h1, conditions: {match: [{expected: '{t1.output.data.id}', actual: '{$self.hook.data.id}'}]}}]
"""


async def price(message: dict[str, Any]) -> dict[str, Any]:
    """Adds lines, and what they cost."""
    state: list[dict[str, Any]] = []
    for n, amount in enumerate(message["data"]["amounts"]):
        state += [
            {"op": "entity.append", "path": "lines", "value": {"n": n, "amount": amount}},
            {"op": "entity.increment", "path": "total", "by": amount},
            {"op": "attributes.incr", "name": "total", "by": amount},
        ]
    return {"data": {"seen": message["data"]["seen"]}, "state": state}


def start(
    n: int, kind: str = "order", customer: str = "ann", amounts: Any = (2, 0.5)
) -> dict[str, Any]:
    """The data of a start."""
    return {"id": f"o{n}", "kind": kind, "customer": customer, "amounts": list(amounts)}


async def test_operations_of_graphs_and_workers(begin: Begin) -> None:
    """Done in order, seen by expressions, written with the step, kept after the end; `get_state` is as it was."""
    mesh = await begin(ORDERS, work=price)
    await mesh.pub("order", start(1))

    async def priced() -> bool:
        found = await mesh.find_by_id("order", "o1")
        return found is not None and found["context"]["total"] == 2.5

    await eventually(priced)
    found = await mesh.find_by_id("order", "o1")
    assert found is not None
    assert found["context"] == {
        "customer": {"name": "ann"}, "lines": [{"n": 0, "amount": 2}, {"n": 1, "amount": 0.5}], "total": 2.5,
    }  # fmt: skip
    assert found["attributes"] == {"customer": "ann", "open": True, "total": 2.5}
    assert found["status"] > 0
    assert await mesh.query_state("o1", ["customer", "open", "total", "lacks"]) == {
        "customer": "ann", "open": "true", "total": "2.5", "lacks": None,
    }  # fmt: skip
    await mesh.hook("app.pay", {"id": "o1"})
    await eventually(lambda: _done(mesh, "o1"))
    out = await mesh.get_state("order", "o1")
    assert out["data"] == {"total": 2.5, "customer": "ann"}
    found = await mesh.find_by_id("order", "o1")
    assert found is not None
    assert found["context"]["paid"] is True
    assert found["attributes"] == {"customer": "ann", "total": 2.5}
    assert (await mesh.export("o1"))["entity"] == {
        "kind": "order",
        "context": found["context"],
        "attributes": found["attributes"],
    }
    raw = await mesh.get_raw("o1")
    assert (raw["_customer"], raw["@entity"], raw["@context/total"]) == ("ann", "order", 2.5)
    assert await mesh.find_by_id("invoice", "o1") is None


async def _done(mesh: Any, jid: str) -> bool:
    return bool(await mesh.get_status(jid) == 0)


async def test_what_pub_gives_along(begin: Begin) -> None:
    """entity, search and marker belong to the job from its first moment; the caller's kind wins; bad ones start nothing."""
    mesh = await begin(ORDERS, work=price)
    jid = await mesh.pub(
        "order",
        start(1),
        None,
        {"entity": "gift", "search": {"region": "north"}, "marker": {"-from": "shop"}},
    )
    assert [
        j["jid"] for j in await mesh.find("gift", attributes={"region": "north", "customer": "ann"})
    ] == [jid]
    assert await mesh.query_state(jid, ["region", '"-from"']) == {
        "region": "north",
        '"-from"': "shop",
    }
    await mesh.pub("order", start(2), search={"region": "south"})
    assert [j["jid"] for j in await mesh.find(attributes={"region": "south"})] == ["o2"]
    pending = await mesh.pub(
        "order", start(4), entity="draft", search={"region": "east"}, pending=60
    )
    (found,) = await mesh.find("draft", {}, attributes={"region": "east"})
    assert (found["jid"], found["status"], found["context"]) == (pending, -1, {})
    await mesh.resume(pending)
    await eventually(lambda: _has(mesh, pending, 2.5))
    with pytest.raises(ConfigurationError, match="unknown fields"):
        await mesh.pub("order", start(3), None, {"serach": {}})
    with pytest.raises(PayloadError, match="attribute 'region' must be text"):
        await mesh.pub("order", start(3), search={"region": ["a"]})
    assert await mesh.find_by_id("order", "o3") is None


async def _has(mesh: Any, jid: str, total: float) -> bool:
    found = await mesh.find(
        "draft", {"total": total}, attributes={"region": "east", "total": total}
    )
    return [job["jid"] for job in found] == [jid]


FOUND: list[tuple[Any, list[str]]] = [
    ({}, ["o4", "o3", "o2", "o1"]),
    ({"customer.name": "ann"}, ["o3", "o1"]),
    ({"customer.name": "ann", "total": 10}, ["o3"]),
    ({"customer": {"name": "bob"}}, ["o2"]),
    ({"lines.0.amount": 4}, ["o2"]),
    ([("total", ">", 4)], ["o4", "o3"]),
    ([("total", ">=", 4), ("total", "<", 10)], ["o2"]),
    ([("total", "<=", 4)], ["o2", "o1"]),
    ([("total", ">", "4")], []),
    ([("customer.name", ">", "b")], ["o4", "o2"]),
    ([("customer.name", "!=", "ann")], ["o4", "o2"]),
    ([("lacks", "!=", 1)], []),
    ([("customer.name", "in", ["ann", "zoë"])], ["o4", "o3", "o1"]),
    ([("customer.name", "IN", [])], []),
    ([("customer.name", "in", ["ann", "bob"]), ("total", "in", [4, 10])], ["o3", "o2"]),
    ([("customer.name", "like", "%o%")], ["o4", "o2"]),
    ([("total", "like", "%")], []),
    ({"customer": {}}, []),
    ({"total": None}, []),
    ({"customer.name' = '' or true --": "x"}, []),
    ([("customer.name", "=", "x') or (1=1")], []),
    ([(('customer"', "name]"), "=", 1)], []),
    ([("customer.name", "like", "' or 1=1 --")], []),
]


async def test_finding_by_conditions(begin: Begin) -> None:
    """Equality, order, in, like and nested paths; what looks like SQL is text; pages; a bad condition is refused."""
    mesh = await begin(ORDERS, work=price)
    for n, (customer, amounts) in enumerate(
        (("ann", [2]), ("bob", [4]), ("ann", [10]), ("zoë", [50])), 1
    ):
        await mesh.pub("order", start(n, customer=customer, amounts=amounts))
    await mesh.pub("order", start(9, kind="other", amounts=[2]))
    await eventually(lambda: _counted(mesh))
    for conditions, jids in FOUND:
        assert [j["jid"] for j in await mesh.find("order", conditions)] == jids, conditions
    assert [j["jid"] for j in await mesh.find("order", limit=2, offset=1)] == ["o3", "o2"]
    assert [j["jid"] for j in await mesh.find_by_condition("order", "total", 4, ">", limit=1)] == [
        "o4"
    ]
    assert [j["jid"] for j in await mesh.find(None, {"total": 2})] == ["o9", "o1"]
    assert await mesh.find("ord'er") == []
    wrongs: tuple[Any, ...] = (
        [("total", "; drop table jobs", 1)],
        [("", "=", 1)],
        [("a..b", "=", 1)],
        ["total"],
        [("a", "in", 5)],
        [("a", ">", None)],
        [("a", "like", 5)],
    )
    for wrong in wrongs:
        with pytest.raises(ConfigurationError):
            await mesh.find("order", wrong)
    with pytest.raises(PayloadError):
        await mesh.find("order", {"a": float("nan")})
    with pytest.raises(ConfigurationError):
        await mesh.find("order", limit=-1)


async def _counted(mesh: Any) -> bool:
    return len(await mesh.find(None, [("total", ">", 0)])) == 5


async def test_finding_is_served_by_indexes(begin: Begin, database: Database, dsn: str) -> None:
    """Among thousands of jobs, a part of the document, an attribute, and a kind are each found by an index."""
    mesh = await begin(ORDERS, work=price)
    direct = await asyncpg.connect(dsn, server_settings={"search_path": database.schema})
    try:
        await direct.execute(
            """insert into jobs (run_id, jid, scope, app_id, graph, created_at, finished_at, entity, document, attributes)
            select -n, 'x' || n, 'app', 'app', 'order', now(), now(), 'k' || n % 500, json_build_object('a', json_build_object('b', n)),
                json_build_object('n', n) from generate_series(1, 20000) n"""
        )
        await direct.execute("analyze jobs")
        for found in (
            await mesh.find(None, {"a.b": 77}),
            await mesh.find(None, [("a.b", "in", [77, 78])]),
            await mesh.find(attributes={"n": 77}),
            await mesh.find("k77", [("a.b", "<", 600)]),
        ):
            assert 1 <= len(found) <= 2
        asked = (
            'select distinct j.run_id from unnest(array[\'{"a":{"b":77}}\',\'{"a":{"b":78}}\']) as p(part) join jobs j on j.document @> p.part::jsonb',
            "select from jobs j where scope = 'app' and attributes @> '{\"n\": 77}'",
            "select from jobs j where scope = 'app' and entity is not null and entity = 'k77' order by run_id desc limit 100",
        )
        plans = [json.loads(await direct.fetchval(f"explain (format json) {sql}")) for sql in asked]
        for plan, index in zip(
            plans, ("jobs_document", "jobs_attributes", "jobs_entity"), strict=True
        ):
            assert index in json.dumps(plan), plan
    finally:
        await direct.close()


WRONG = {
    "is not an operation": "{op: entity.explode, path: a}",
    "needs 'value'": "{op: entity.append, path: a}",
    "knows no 'pat'": "{op: entity.toggle, path: a, pat: b}",
    "an operation is an object": "entity.toggle",
}


@pytest.mark.parametrize("complaint", WRONG)
async def test_operations_are_checked_at_deploy(begin: Begin, complaint: str) -> None:
    """What can be known of them from the document is told before anything is stored, with its place."""
    mesh = await begin(None)
    document = ORDERS.replace("{op: entity.toggle, path: paid}", WRONG[complaint])
    with pytest.raises(DescriptorError, match=rf"h1\.state\[0\].*{complaint}"):
        await mesh.deploy(document)


FAILING = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 3600
      activities:
        t1: {type: trigger, entity: '{$self.input.data.kind}', state: '{$self.input.data.state}'}
        w1: {type: worker, topic: work, input: {maps: {x: 1}}}
      transitions: {t1: [{to: w1}]}
"""


async def test_what_does_not_fit_fails_the_job(begin: Begin) -> None:
    """The job ends with an error that names activity, place and value; a callback's malformed list too, at once."""
    answers: list[Any] = [[{"op": "entity.increment", "path": "name"}], [{"op": "nonsense"}]]

    async def work(_message: dict[str, Any]) -> dict[str, Any]:
        return {"data": {}, "state": answers.pop(0)}

    mesh = await begin(FAILING, work=work)
    data = {"kind": "k", "state": [{"op": "entity.set", "value": {"name": "ann"}}]}
    with pytest.raises(
        JobFailed, match=r"activity 'w1'.*the entity at 'name' is not a number: 'ann'"
    ):
        await mesh.pubsub("t", data, timeout=100)
    with pytest.raises(JobFailed, match=r"state\[0\]: 'nonsense' is not an operation"):
        await mesh.pubsub("t", data, timeout=100)
    with pytest.raises(JobFailed, match=r"activity 't1'.*must be text"):
        await mesh.pubsub(
            "t", {"kind": "k", "state": [{"op": "attributes.set", "values": {"a": []}}]}, timeout=30
        )
    with pytest.raises(JobFailed, match="`state` is a list of operations"):
        await mesh.pubsub("t", {"kind": "k", "state": 5}, timeout=100)
    with pytest.raises(DescriptorError, match="its entity must be text"):
        await mesh.pubsub("t", {"kind": 5}, timeout=100)


async def test_a_graph_without_state_costs_no_statement(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing about state is written for a job that keeps none."""
    seen: list[str] = []
    real = asyncpg.Connection.execute

    async def execute(self: asyncpg.Connection, query: str, *args: Any, **more: Any) -> Any:
        seen.append(query)
        return await real(self, query, *args, **more)

    monkeypatch.setattr(asyncpg.Connection, "execute", execute)
    mesh = await begin(
        FAILING.replace(
            "entity: '{$self.input.data.kind}', state: '{$self.input.data.state}'", "title: t"
        ),
        work=echo,
    )
    await mesh.pubsub("t", {}, timeout=100)
    assert not any("markers" in query for query in seen)
