# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""What triggers count over jobs, and how it is asked for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from durable.engine.interpreter import Interpreter
from durable.engine.steps.graph_starts import Start
from durable.engine.steps.graph_steps import GraphSteps
from durable.engine.versions import Versions
from durable.errors import ConfigurationError, DescriptorError, DuplicateJob
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from durable.postgres.errors import ConnectionLost
from durable.protocol.retry import RetryPolicy
from durable.store.stats import StatsStore
from tests.integration.hotmesh.conftest import Begin
from tests.integration.hotmesh.test_crashes import Breaking, emptied
from tests.waiting import eventually

ORDERS = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: order
      expire: 0
      activities:
        t1:
          type: trigger
          stats:
            id: '{$self.input.data.id}'
            key: {'@pipe': [['{$self.input.data.size}', '-', '{$self.input.data.primacy}'], ['{@string.concat}']]}
            granularity: 5m
            measures:
              - {measure: count, target: '{$self.input.data.color}'}
              - {measure: index, target: '{$self.input.data.color}'}
              - {measure: index, target: '{$self.input.data.where.city}'}
              - {measure: sum, target: '{$self.input.data.price}'}
              - {measure: avg, target: '{$self.input.data.price}'}
              - {measure: mdn, target: '{$self.input.data.price}'}
              - {measure: max, target: '{$self.input.data.price}'}
              - {measure: min, target: '{$self.input.data.price}'}
    - subscribes: ever
      expire: 0
      activities:
        t2: {type: trigger, stats: {key: all, granularity: infinity, measures: [{measure: sum, target: '{t2.output.data.n}'}, {measure: index, target: '{t2.output.data.n}'}]}}
    - subscribes: plain
      activities:
        t3: {type: trigger, stats: {id: '{$self.input.data.id}'}}
    - subscribes: parent
      activities:
        t4: {type: trigger}
        a4: {type: await, topic: ever, input: {maps: {n: 7}}}
      transitions: {t4: [{to: a4}]}
"""
QUERY = {"data": {"size": "lg", "primacy": "first"}, "range": "1h", "end": "NOW"}
PRICES = {"a": 1, "b": 2, "c": 3, "d": 10.5}


def order(id_: str, color: str = "red", **more: Any) -> dict[str, Any]:
    """The data of an order."""
    return {"id": id_, "size": "lg", "primacy": "first", "color": color, **more}


async def orders(mesh: HotMesh) -> None:
    """Four orders with prices, two of them red; and one of another key."""
    for id_, price in PRICES.items():
        color, city = ("red", "Rome") if id_ < "c" else ("blue", "Oslo")
        await mesh.pub("order", order(id_, color, price=price, where={"city": city}))
    await mesh.pub("order", {**order("e", price=1000), "size": "sm"})


def values(measures: list[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    """(type, target) -> value."""
    return {(m["type"], m["target"]): m["value"] for m in measures}


TOTALS = {
    ("count", "color:red"): 2, ("count", "color:blue"): 2, ("sum", "price"): 16.5,
    ("avg", "price"): 4.125, ("mdn", "price"): 2.5, ("max", "price"): 10.5, ("min", "price"): 1,
}  # fmt: skip


async def shift(database: Database, minutes: int, *ids: str) -> None:
    """Have these jobs been counted so many minutes ago."""
    await database.fetch(
        f'update "{database.schema}".job_stats s'
        " set slot = date_bin('5 min', now() - make_interval(mins => $1), 'epoch')"
        f' from "{database.schema}".jobs j where j.run_id = s.run_id and j.jid = any($2::text[])',
        minutes,
        list(ids),
    )


async def test_an_hour_has_thirteen_steps_of_five_minutes(begin: Begin) -> None:
    """Conformance `postgres.test`, getStats: each measure of a key, over all and for each step of time."""
    mesh = await begin(ORDERS)
    await orders(mesh)
    stats = await mesh.get_stats("order", QUERY)
    assert len(stats["segments"]) == 13
    assert (stats["key"], stats["granularity"], stats["range"], stats["count"]) == (
        "lg-first",
        "5m",
        "1h",
        4,
    )
    assert values(stats["measures"]) == TOTALS
    assert sum(s["count"] for s in stats["segments"]) == 4
    times = [datetime.fromisoformat(s["time"]) for s in stats["segments"]]
    assert {b - a for a, b in pairwise(times)} == {timedelta(minutes=5)}
    assert (stats["start"], stats["end"]) == (
        stats["segments"][0]["time"],
        stats["segments"][-1]["time"],
    )
    job = await mesh.get_state("order", "a")
    assert job["metadata"]["key"] == "lg-first"
    assert job["metadata"]["ts"] in {f"{time:%Y%m%d%H%M}" for time in times}


async def test_time_is_cut_into_steps(begin: Begin, database: Database) -> None:
    """Jobs are found by the steps in which they began, however coarse, and the whole is reckoned from all."""
    mesh = await begin(ORDERS)
    await orders(mesh)
    await shift(database, 30, "a", "b")
    await shift(database, 24 * 60, "c")
    stats = await mesh.get_stats("order", QUERY)
    counted = [s for s in stats["segments"] if s["count"]]
    assert [s["count"] for s in counted] == [2, 1]
    assert values(counted[0]["measures"]) == {
        ("count", "color:red"): 2, ("sum", "price"): 3, ("avg", "price"): 1.5, ("mdn", "price"): 1.5,
        ("max", "price"): 2, ("min", "price"): 1,
    }  # fmt: skip
    assert values(stats["measures"])["mdn", "price"] == 2
    empty = [s for s in stats["segments"] if not s["count"]]
    assert len(empty) == 11
    assert all(s["measures"] == [] for s in empty)
    days = await mesh.get_stats("order", {**QUERY, "range": "2d", "granularity": "1h"})
    assert (days["count"], days["granularity"], len(days["segments"])) == (4, "1h", 49)
    whole = await mesh.get_stats("order", {**QUERY, "range": "2d", "granularity": "infinity"})
    assert [s["count"] for s in whole["segments"]] == [4]
    ever = await mesh.get_stats("order", {"data": QUERY["data"], "granularity": "infinity"})
    assert (ever["count"], ever["segments"][0]["time"]) == (4, "0")
    sparse = await mesh.get_stats("order", {**QUERY, "range": "3650d", "sparse": True})
    assert "segments" not in sparse
    assert values(sparse["measures"]) == TOTALS


async def test_a_stretch_of_time_can_be_said_in_four_ways(begin: Begin) -> None:
    """Start and end, range and one of them, or range alone; both ends belong to it; elsewhere there is nothing."""
    mesh = await begin(ORDERS)
    await orders(mesh)
    now = datetime.now(UTC)  # the database is this machine's
    begins = (now - timedelta(minutes=30)).isoformat()
    data = QUERY["data"]
    for time in (
        {"start": begins, "end": "NOW"},
        {"start": begins, "range": "1h"},
        {"end": now + timedelta(minutes=30), "range": "1h"},
        {"range": "30m"},
    ):
        assert (await mesh.get_stats("order", {"data": data, **time}))["count"] == 4, time
    empty = await mesh.get_stats(
        "order", {"data": data, "start": "2001-01-01T00:03Z", "end": "2001-01-01 00:10"}
    )
    assert [s["time"] for s in empty["segments"]] == [
        "2001-01-01T00:00Z",
        "2001-01-01T00:05Z",
        "2001-01-01T00:10Z",
    ]
    assert (empty["count"], empty["measures"]) == (0, [])
    nobody = await mesh.get_stats("order", {**QUERY, "data": {"size": "xl", "primacy": "none"}})
    assert (nobody["key"], nobody["count"], nobody["measures"]) == ("xl-none", 0, [])


async def test_ids_are_found_by_facets(begin: Begin) -> None:
    """Conformance `postgres.test`, getIds: counts for each facet, ids for each step of time; scrubbed jobs leave."""
    mesh = await begin(ORDERS)
    await orders(mesh)
    found = await mesh.get_ids("order", QUERY)
    assert found["facets"] == ["color:blue", "color:red", "where/city:Oslo", "where/city:Rome"]
    assert {c["facet"]: c["count"] for c in found["counts"]} == dict.fromkeys(found["facets"], 2)
    measures = [m for s in found["segments"] for m in s["measures"]]
    assert {m["type"] for m in measures} == {"ids"}
    assert sorted(i for m in measures if m["target"] == "color:red" for i in m["ids"]) == ["a", "b"]
    assert all(
        m["count"] == len(m["ids"]) and m["time"] == s["time"]
        for s in found["segments"]
        for m in s["measures"]
    )
    await mesh.scrub("a")
    some = await mesh.get_ids("order", QUERY, ["color:red", "color:green"])
    assert some["counts"] == [
        {"facet": "color:red", "count": 1},
        {"facet": "color:green", "count": 0},
    ]
    assert (await mesh.get_stats("order", QUERY))["count"] == 4  # what was counted stays counted
    old = await mesh.get_ids(
        "order", {"data": QUERY["data"], "start": "2001-01-01", "range": "1h"}, ["color:red"]
    )
    assert (old["counts"], old["segments"]) == ([{"facet": "color:red", "count": 0}], [])


async def test_all_time_may_be_one_step(begin: Begin) -> None:
    """With granularity infinity a query says nothing of time, and there is one segment, `0`."""
    mesh = await begin(ORDERS)
    for n in (1, 2, 2):
        await mesh.pub("ever", {"n": n})
    stats = await mesh.get_stats("ever", {})
    assert stats == {
        "key": "all", "granularity": "infinity", "range": None, "start": None, "end": None, "count": 3,
        "measures": [{"target": "n", "type": "sum", "value": 5}],
        "segments": [{"time": "0", "count": 3, "measures": [{"target": "n", "type": "sum", "value": 5}]}],
    }  # fmt: skip
    ids = await mesh.get_ids("ever", {}, ["n:2"])
    assert ids["counts"] == [{"facet": "n:2", "count": 2}]
    assert [s["time"] for s in ids["segments"]] == ["0"]
    with pytest.raises(ConfigurationError, match="know no time"):
        await mesh.get_stats("ever", {"range": "1h"})
    with pytest.raises(ConfigurationError, match="does not fit what is kept: steps of infinity"):
        await mesh.get_stats("ever", {"granularity": "5m"})


async def test_what_is_null_is_not_measured(begin: Begin) -> None:
    """A job without a price counts as a job, and for no sum, average or median; booleans and numbers name facets."""
    mesh = await begin(ORDERS)
    await mesh.pub("order", order("a", price=4, where={"city": True}))
    await mesh.pub("order", order("b", where={"city": 1.0}, price=None))
    stats = await mesh.get_stats("order", {**QUERY, "sparse": True})
    assert stats["count"] == 2
    assert values(stats["measures"])["avg", "price"] == 4
    assert (await mesh.get_ids("order", QUERY))["facets"] == [
        "color:red",
        "where/city:1",
        "where/city:true",
    ]


async def test_sums_are_those_of_paper(begin: Begin) -> None:
    """Ten times 0.1 is 1: numbers are summed as they were written."""
    mesh = await begin(ORDERS)
    for n in range(10):
        await mesh.pub("order", order(f"j{n}", price=0.1))
    assert values((await mesh.get_stats("order", QUERY))["measures"])["sum", "price"] == 1


@pytest.mark.parametrize("nothing", [{}, {"id": None, "size": None}])
async def test_an_id_or_key_that_is_nothing_means_a_fresh_id_and_no_key(
    begin: Begin, nothing: dict[str, Any]
) -> None:
    """Null and undefined alike: the job gets an id of its own and is not counted, on resume too."""
    pipe = "{'@pipe': [['{$self.input.data.size}', '-', '{$self.input.data.primacy}'], ['{@string.concat}']]}"
    mesh = await begin(ORDERS.replace(pipe, "'{$self.input.data.size}'"))
    data = {k: v for k, v in order("j").items() if k not in ("id", "size")} | nothing
    ids = [await mesh.pub("order", data) for _ in range(2)]
    ids.append(await mesh.pub("order", data, pending=60))
    await mesh.resume(ids[-1])
    assert len({len(jid) for jid in ids}) == 1
    assert len(set(ids)) == 3
    metadata = (await mesh.get_state("order", ids[0]))["metadata"]
    assert "key" not in metadata
    await mesh.pub("order", order("counted"))
    assert (await mesh.get_stats("order", QUERY))["count"] == 1


BAD_DATA = [
    ({"price": "dear"}, "measure sum of 'price' counts must be a number, and is 'dear'"),
    ({"price": True}, "must be a number"),
    ({"color": ["red"]}, "measure count of 'color' counts must be text"),
    ({"color": {}}, "must be text, a number or a boolean"),
    ({"color": "a\0b"}, "must be text, a number or a boolean"),
    ({"size": "a\0b"}, "stats.key must be text that Postgres can keep"),
]


@pytest.mark.parametrize(("data", "expected"), BAD_DATA)
async def test_what_cannot_be_counted_is_not_started(
    begin: Begin, database: Database, data: Any, expected: str
) -> None:
    """A value that a measure cannot take is refused where the job would start, and nothing is written."""
    mesh = await begin(ORDERS)
    with pytest.raises(DescriptorError, match=expected):
        await mesh.pub("order", {**order("x"), **data})
    for table in ("jobs", "job_stats"):
        assert await database.fetchval(f'select count(*) from "{database.schema}".{table}') == 0


BAD_QUERIES = [
    ({"range": "1h", "start": "2026-01-01", "end": "NOW"}, "said twice"),
    ({"start": "2026-01-01"}, "is not clear"),
    ({"end": "NOW"}, "is not clear"),
    ({}, "says nothing of time"),
    ({"start": "2026-01-02", "end": "2026-01-01"}, "end lies before its start"),
    ({"range": "soon"}, "'soon' is no duration"),
    ({"range": "1h", "end": "later"}, "query.end is 'NOW' or a moment"),
    ({"range": "1h", "start": 5}, "query.start is 'NOW' or a moment"),
    ({"range": "1h", "granularity": "7m"}, "granularity is one of 5m, 10m"),
    ({"range": "365d"}, "10000 is the most"),
    ({"range": "1h", "data": [1]}, "query.data is"),
    ({"rang": "1h"}, r"unknown fields \['rang'\]"),
]


@pytest.mark.parametrize(("query", "expected"), BAD_QUERIES)
async def test_a_query_that_makes_no_sense_is_refused(
    begin: Begin, query: Any, expected: str
) -> None:
    """Every way to misunderstand a stretch of time is an error that says what to write."""
    mesh = await begin(ORDERS)
    with pytest.raises(ConfigurationError, match=expected):
        await mesh.get_stats("order", {"data": QUERY["data"], **query})


async def test_what_is_not_measured_cannot_be_asked_for(begin: Begin) -> None:
    """Unknown graphs, graphs that count nothing, and facets that nobody indexes are refused; so is no version."""
    mesh = await begin(ORDERS)
    with pytest.raises(ConfigurationError, match="subscribes to 'nowhere'"):
        await mesh.get_stats("nowhere", QUERY)
    with pytest.raises(ConfigurationError, match="'plain' keeps no statistics"):
        await mesh.get_ids("plain", QUERY)
    with pytest.raises(
        ConfigurationError, match=r"facet 'price:1' is none of .* one of color, where/city"
    ):
        await mesh.get_ids("order", QUERY, ["price:1"])
    with pytest.raises(ConfigurationError, match=r"facet 'color' is none of"):
        await mesh.get_ids("order", QUERY, ["color"])
    other = await begin(None, app_id="other")
    with pytest.raises(ConfigurationError, match="no version of app 'other' is active"):
        await other.get_stats("order", QUERY)


async def test_who_does_not_ask_pays_nothing(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph without a key sends no statement about statistics when its jobs begin."""
    asked: list[int] = []
    count = StatsStore.count

    async def noticed(self: StatsStore, connection: Any, found: Any) -> None:
        asked.append(len(found))
        await count(self, connection, found)

    monkeypatch.setattr(StatsStore, "count", noticed)
    mesh = await begin(ORDERS)
    await mesh.pub("plain", {"id": "p"})
    assert asked == []
    await mesh.pub("order", order("a", price=1))
    assert asked == [8]  # the job, and what it has a value for


async def test_a_start_that_is_refused_is_not_counted(begin: Begin) -> None:
    """Ten that start one id at once: one job, counted once."""
    mesh = await begin(ORDERS)
    results = await asyncio.gather(
        *(mesh.pub("order", order("a", price=1)) for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(r, DuplicateJob) for r in results) == 9
    assert (await mesh.get_stats("order", QUERY))["count"] == 1


async def test_children_are_counted_too(begin: Begin) -> None:
    """A job that another one starts is counted as one that was started from outside."""
    mesh = await begin(ORDERS)
    await mesh.pubsub("parent", {}, timeout=100)
    assert (await mesh.get_stats("ever", {}))["measures"] == [
        {"target": "n", "type": "sum", "value": 7}
    ]


async def test_a_crash_at_any_statement_counts_once(dsn: str, database: Database) -> None:
    """The connection breaks before each statement of starts and steps in turn: each job is counted once."""

    async def run(at: int) -> tuple[list[tuple[str, Any]], int]:
        await emptied(database)
        opened = await Breaking.open(dsn, schema=database.schema, size=2)
        try:
            versions = Versions(opened)
            await versions.deploy(ORDERS)
            await versions.activate("app", "1")
            steps = GraphSteps(opened, versions.plans, RetryPolicy(), lambda: 0.5, member=lambda: 1)
            opened.count, opened.breaks_at = 0, at
            for start in (Start("app", "order", order("a", price=1)), Start("app", "parent", {})):
                await _surely(lambda start=start: steps.start(start))
            interpreter = Interpreter(steps, "app", lambda _written: None)
            await _surely(interpreter.drain)
            count, opened.breaks_at = opened.count, -1
            rows = await opened.fetch(
                f'select kind, target, value::float8 as value from "{opened.schema}".job_stats order by 1, 2, 3'
            )
            return [tuple(row) for row in rows], count
        finally:
            opened.breaks_at = -1
            await opened.close()

    whole, statements = await run(-1)
    assert whole == [
        ("avg", "price", 1), ("count", "color:red", None), ("index", "color:red", None), ("index", "n:7", None),
        ("job", "", None), ("job", "", None), ("max", "price", 1), ("mdn", "price", 1), ("min", "price", 1),
        ("sum", "n", 7), ("sum", "price", 1),
    ]  # fmt: skip
    assert statements > 15
    for at in range(1, statements + 1):
        assert (await run(at))[0] == whole, f"statement {at}"


async def _surely(action: Any) -> None:
    try:
        await action()
    except ConnectionLost:
        await action()


async def test_what_a_job_counts_for_lives_as_long_as_it_should(
    begin: Begin, database: Database
) -> None:
    """When a job is deleted it leaves the index; how often what was counted stays."""
    mesh = await begin(ORDERS)
    await mesh.pub("order", order("a", price=1))

    async def kinds() -> list[str]:
        rows = await database.fetch(
            f'select distinct kind from "{database.schema}".job_stats order by 1'
        )
        return [row["kind"] for row in rows]

    assert "index" in await kinds()
    await mesh.scrub("a")

    async def unindexed() -> bool:
        return "index" not in await kinds()

    assert await eventually(unindexed)
    assert await kinds() == ["avg", "count", "job", "max", "mdn", "min", "sum"]
