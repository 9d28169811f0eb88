# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Jobs that are created before they may begin."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable.errors import ConfigurationError, DuplicateJob, JobNotFound
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin
from tests.integration.hotmesh.test_conformance_retention import TABLES, rows
from tests.waiting import eventually

GRAPH = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      publishes: done
      expire: 60
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}', key: '{$self.input.data.kind}', measures: [{measure: count, target: '{$self.input.data.kind}'}]}}
        w1: {type: worker, topic: work, input: {maps: {n: '{t1.output.data.n}'}}, job: {maps: {n: '{$self.output.data.n}'}}}
      transitions: {t1: [{to: w1}]}
"""
DATA = {"id": "j", "kind": "k", "n": 1}


class Bench:
    """A callback that remembers what it was asked to do."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def work(self, message: dict[str, Any]) -> dict[str, Any]:
        """Count it, and add 1."""
        self.calls.append(message["data"]["n"])
        return {"data": {"n": message["data"]["n"] + 1}}


async def ended(mesh: HotMesh, job_id: str) -> bool:
    """Whether a job is done."""
    return await mesh.get_status(job_id) == 0


async def gone(mesh: HotMesh, job_id: str) -> bool:
    """Whether there is no such job."""
    try:
        await mesh.get_status(job_id)
    except JobNotFound as error:
        return str(error) == f"Job {job_id} not found"
    return False


async def test_a_pending_job_waits_and_is_deleted(begin: Begin, database: Database) -> None:
    """Conformance `pending`: status -1, nothing runs, and when its time is over nothing is left of it."""
    bench = Bench()
    mesh = await begin(GRAPH, work=bench.work)
    assert await mesh.pub("t", DATA, None, {"pending": 60}) == "j"
    assert await mesh.get_status("j") == -1
    assert (await mesh.get_state("t", "j"))["metadata"]["js"] == -1
    await mesh.scrub("j")
    assert await mesh.pub("t", DATA, None, {"pending": 0.5}) == "j"
    assert await eventually(lambda: gone(mesh, "j"))

    async def empty() -> bool:
        return not any((await rows(database)).values())

    assert await eventually(empty), TABLES
    assert await database.fetchval(f'select count(*) from "{database.schema}".job_stats') == 0
    assert bench.calls == []


async def test_its_id_is_free_once_it_was_deleted(begin: Begin) -> None:
    """While a job is pending its id is taken; afterwards anybody can have it."""
    bench = Bench()
    mesh = await begin(GRAPH, work=bench.work)
    await mesh.pub("t", DATA, pending="1 minute")
    with pytest.raises(DuplicateJob, match="Duplicate job: j"):
        await mesh.pub("t", DATA)
    await mesh.scrub("j")
    await mesh.pub("t", DATA, pending="300 ms")

    async def taken_again() -> bool:
        try:
            return (await mesh.pubsub("t", DATA, timeout=100))["data"] == {"n": 2}
        except DuplicateJob:
            return False

    assert await eventually(taken_again)
    assert bench.calls == [1]


async def test_a_resumed_job_runs_as_any_other(begin: Begin, database: Database) -> None:
    """It begins with what it was created with, is counted then, and ends with status 0; its timer is gone."""
    bench = Bench()
    mesh = await begin(GRAPH, work=bench.work)
    told: list[Any] = []

    async def subscriber(_topic: str, job: dict[str, Any]) -> None:
        told.append(job["data"])

    await mesh.sub("done.j", subscriber)
    await mesh.pub("t", DATA, pending=60)
    query = {"data": {"kind": "k"}, "range": "1h"}
    assert (await mesh.get_stats("t", query))["count"] == 0
    await mesh.resume("j")
    assert await eventually(lambda: ended(mesh, "j"))
    state = await mesh.get_state("t", "j")
    assert state["data"] == {"n": 2}
    assert (state["metadata"]["js"], state["metadata"]["key"]) == (0, "k")
    assert (await mesh.get_stats("t", query))["count"] == 1
    assert (bench.calls, (await rows(database))["engine_streams"]) == ([1], 0)

    async def heard() -> bool:
        return told == [{"n": 2}]

    assert await eventually(heard)


async def test_what_it_was_created_with_is_there_when_it_begins(begin: Begin) -> None:
    """Searchable attributes can be looked up while a job is pending, and stay; so does what can be exported."""
    mesh = await begin(GRAPH, work=Bench().work)
    await mesh.pub("t", DATA, extended={"pending": 60, "search": {"who": "ann"}})
    assert await mesh.query_state("j", ["who", ":"]) == {"who": "ann", ":": -1}
    assert (await mesh.export("j"))["status"] == "-1"
    assert (await mesh.get_raw("j"))[":"] == -1
    await mesh.resume("j")
    assert await eventually(lambda: ended(mesh, "j"))
    assert await mesh.query_state("j", ["who", ":"]) == {"who": "ann", ":": 0}


async def test_a_job_is_resumed_once(begin: Begin) -> None:
    """Of many that resume it one does, the others are told that it has begun; its work is done once."""
    bench = Bench()
    mesh = await begin(GRAPH, work=bench.work)
    await mesh.pub("t", DATA, pending=60)
    results = await asyncio.gather(*(mesh.resume("j") for _ in range(5)), return_exceptions=True)
    refused = [r for r in results if isinstance(r, JobNotFound)]
    assert (results.count(None), len(refused)) == (1, 4)
    assert {(str(r), r.code) for r in refused} == {("Job j is not pending: it has begun", 409)}
    assert await eventually(lambda: ended(mesh, "j"))
    assert bench.calls == [1]


async def test_a_job_ends_on_the_version_of_its_creation(begin: Begin) -> None:
    """A version that is activated while a job is pending is not that job's."""
    bench = Bench()
    mesh = await begin(GRAPH, work=bench.work)
    await mesh.pub("t", DATA, pending=60)
    await mesh.deploy(
        GRAPH.replace("version: '1'", "version: '2'").replace("{n: '{$self", "{m: '{$self")
    )
    await mesh.activate("2")
    await mesh.resume("j")
    assert await eventually(lambda: ended(mesh, "j"))
    state = await mesh.get_state("t", "j")
    assert (state["data"], state["metadata"]["vrs"]) == ({"n": 2}, "1")


async def test_who_comes_too_late_finds_nothing(begin: Begin, database: Database) -> None:
    """When its time is over a job cannot be resumed, be there an engine that deletes it or not."""
    mesh = await begin(GRAPH, work=Bench().work)
    await mesh.throttle(throttle=-1)  # no engine deletes it
    await mesh.pub("t", DATA, pending=0.05)
    assert await eventually(lambda: gone(mesh, "j"))
    with pytest.raises(JobNotFound, match="Job j not found"):
        await mesh.resume("j")
    assert (await rows(database))["jobs"] == 1
    await mesh.throttle(throttle=0)

    async def deleted() -> bool:
        return (await rows(database))["jobs"] == 0

    assert await eventually(deleted)


async def test_what_a_pending_job_is_not(begin: Begin) -> None:
    """It cannot be interrupted, since nothing runs; it can be scrubbed; who runs or is unknown cannot be resumed."""
    mesh = await begin(GRAPH, work=Bench().work)
    await mesh.pub("t", DATA, pending=60)
    with pytest.raises(JobNotFound, match=r"scrub\(\) frees its id") as caught:
        await mesh.interrupt("t", "j")
    assert caught.value.code == 409
    await mesh.scrub("j")
    assert await gone(mesh, "j")
    with pytest.raises(JobNotFound, match="Job nobody not found"):
        await mesh.resume("nobody")
    await mesh.pubsub("t", DATA, timeout=100)
    with pytest.raises(JobNotFound, match="not pending"):
        await mesh.resume("j")


@pytest.mark.parametrize("pending", [0, -1, "soon", True, float("nan")])
async def test_a_wait_must_be_one(begin: Begin, pending: Any) -> None:
    """What is no duration, or none at all, is refused before anything is written."""
    mesh = await begin(GRAPH)
    with pytest.raises(ConfigurationError):
        await mesh.pub("t", DATA, extended={"pending": pending})
    assert await gone(mesh, "j")
