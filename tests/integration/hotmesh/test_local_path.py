"""The local path: what a job costs on it, that both paths write the same, and what may break."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from durable.errors import JobFailed
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from durable.postgres.errors import ConnectionLost
from durable.runtime import reconciler
from tests.integration.hotmesh.conftest import Begin, echo
from tests.waiting import eventually

ONE = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        w1:
          type: worker
          topic: work
          input: {maps: {n: '{t1.output.data.n}'}}
          job: {maps: {n: '{$self.output.data.n}'}}
      transitions: {t1: [{to: w1}]}
"""

# Branches that answer at once, one after the other, a pass of a cycle, an awaited child, a timer.
MUCH = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, output: {maps: {m: '{$self.input.data.n}'}}}
        a1: {type: worker, topic: work, input: {maps: {n: '{t1.output.data.m}'}}}
        a2: {type: worker, topic: work, input: {maps: {n: '{a1.output.data.n}'}}}
        b1: {type: worker, topic: more, job: {maps: {b: done}}}
        s1: {type: hook, sleep: 0}
        p1: {type: hook, cycle: true, output: {maps: {n: 0}}}
        w1: {type: worker, topic: work, input: {maps: {n: '{p1.output.data.n}'}}}
        c1: {type: cycle, ancestor: p1, input: {maps: {n: {'@pipe': [['{p1.output.data.n}', 1], ['{@math.add}']]}}}}
        k1: {type: await, topic: child, input: {maps: {n: '{a2.output.data.n}'}}, job: {maps: {k: '{$self.output.data.v}'}}}
      transitions:
        t1: [{to: a1}, {to: b1}, {to: p1}, {to: s1}]
        a1: [{to: a2}]
        a2: [{to: k1}]
        p1: [{to: w1}]
        w1:
          - to: c1
            conditions:
              match: [{expected: true, actual: {'@pipe': [['{p1.output.data.n}', 2], ['{@conditional.less_than}']]}}]
    - subscribes: child
      activities:
        t2: {type: trigger}
        w2: {type: worker, topic: work, input: {maps: {n: '{t2.output.data.n}'}}, job: {maps: {v: '{$self.output.data.n}'}}}
      transitions: {t2: [{to: w2}]}
"""  # noqa: E501 - graphs are wider than code


@pytest.fixture
def namespace(unmigrated: str) -> str:
    """New, since the server's counts of rows go on where a schema is used again."""
    return unmigrated


@pytest_asyncio.fixture
async def direct(dsn: str, database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection that looks into the test's schema."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": database.schema})
    yield connection
    await connection.close()


async def open_local_path(mesh: HotMesh) -> None:
    """Return when jobs take the local path: the version is known, and no work waits."""
    worker = next(iter(mesh._parts.host._parts.topics))

    async def ready() -> bool:
        await mesh.pubsub("t", {"n": 0}, timeout=100)
        local = mesh._parts.starts._local
        return not worker._backlog and local is not None and local._active is not None

    await eventually(ready)


def counting(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the statements of every connection of this process, by their first words."""
    seen: Counter[str] = Counter()
    real = asyncpg.Connection.fetch

    async def fetch(self: asyncpg.Connection, query: str, *args: Any, **more: Any) -> Any:
        seen[query[:20]] += 1
        return await real(self, query, *args, **more)

    monkeypatch.setattr(asyncpg.Connection, "fetch", fetch)
    return seen


BEGIN, ADVANCE = "-- Starts jobs, with", "-- Ends attempts with"


async def test_a_job_of_one_worker_is_two_statements_and_two_commits(
    begin: Begin, direct: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that starts it and reserves the work, one that ends the work and the job; none beside."""
    mesh = await begin(ONE, work=echo)
    await open_local_path(mesh)
    jobs = 30
    seen, began = counting(monkeypatch), time.monotonic()
    for n in range(jobs):
        assert (await mesh.pubsub("t", {"n": n}, timeout=100))["data"] == {"n": n}
    assert (seen[BEGIN[:20]], seen[ADVANCE[:20]]) == (jobs, jobs)
    polls = 3 + 2 * (time.monotonic() - began)  # once a second, and twice that at most
    assert seen["-- A worker takes wh"] <= min(polls, jobs - 1)
    rows = await eventually(lambda: _rows(direct, jobs))
    everything = await direct.fetchval("select count(*) from jobs")
    assert rows["activities"] == (everything, everything, 0)
    assert rows["jobs"] == (everything, everything, 0)
    assert rows["worker_streams"][0] == rows["worker_streams"][2] == everything
    assert rows["worker_streams"][1] <= 5  # those of the first jobs, before the local was open
    assert rows["engine_streams"][0] <= 5


def _lanes(mesh: HotMesh) -> Sequence[Any]:
    local = mesh._parts.starts._local
    assert local is not None
    return [local._start_lane._connection, local._step_lane._connection]


async def _rows(direct: asyncpg.Connection, jobs: int) -> dict[str, tuple[int, int, int]]:
    """Rows inserted, updated and deleted by table, once the server has counted them all."""
    rows = {
        r["relname"]: (r["n_tup_ins"], r["n_tup_upd"], r["n_tup_del"])
        for r in await direct.fetch(
            "select * from pg_stat_user_tables where schemaname = current_schema()"
        )
    }
    born = await direct.fetchval("select count(*) from jobs")
    complete = rows["jobs"][:2] == (born, born) and born > jobs
    return rows if complete and rows["worker_streams"][2] == born else {}


async def test_many_jobs_share_their_commits(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 jobs at once: what gathers while a statement is in flight goes with the next one."""
    mesh = await begin(ONE, work=echo)
    await open_local_path(mesh)
    seen = counting(monkeypatch)
    results = await asyncio.gather(*[mesh.pubsub("t", {"n": n}, timeout=100) for n in range(200)])
    assert [r["data"]["n"] for r in results] == list(range(200))
    assert seen[BEGIN[:20]] + seen[ADVANCE[:20]] < 100
    assert sum(seen.values()) < 400


async def test_both_roads_write_the_same(
    begin: Begin, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job on the local path and one on the other leave the same rows, times and ids apart."""
    mesh = await begin(MUCH, work=echo, more=echo)
    found, whole = [], mesh._parts.starts._local
    seen = counting(monkeypatch)
    for local in (whole, None):
        mesh._parts.starts._local = local
        for worker in mesh._parts.host._parts.topics:
            worker._local = local
        await mesh.pubsub("t", {"n": 11}, timeout=100)  # it may find out the active version
        job = await mesh.pubsub("t", {"n": 12}, timeout=100)
        assert (seen[BEGIN[:20]] > 0, seen[ADVANCE[:20]] > 4) == (local is whole, local is whole)
        seen.clear()
        found.append((_plain(job), await _dump(database, job["metadata"]["jid"])))
    mesh._parts.starts._local = whole
    assert found[0] == found[1]
    assert found[0][0]["data"] == {"b": "done", "k": 12}


def _plain(job: dict[str, Any]) -> dict[str, Any]:
    changing = {"jid", "gid", "jc", "ju"}
    metadata = {k: v for k, v in job["metadata"].items() if k not in changing}
    return {"data": job["data"], "metadata": metadata}


async def _dump(database: Database, jid: str) -> list[Any]:
    schema = database.schema
    jobs = await database.fetch(
        f"""with recursive all_of as (
            select * from "{schema}".jobs where jid = $1
            union all
            select j.* from "{schema}".jobs j join all_of a on j.parent_run_id = a.run_id)
        select run_id, graph, graph_version, state, status, input::text, output::text,
            error::text, finished_at is not null, expires_at - finished_at as kept
        from all_of order by graph""",
        jid,
    )
    activities = [
        await database.fetch(
            f"""select aid, dad, open, replies, code, input::text,
                case when aid = 's1' then '' else hook::text end, output::text, error::text,
                settled_at is not null
            from "{schema}".activities where run_id = $1 order by aid, dad""",
            job["run_id"],
        )
        for job in jobs
    ]
    left = [
        await database.fetchval(
            f'select count(*) from "{schema}".{table} where run_id = any($1)',
            [job["run_id"] for job in jobs],
        )
        for table in ("worker_streams", "engine_streams")
    ]
    return [[tuple(j)[1:] for j in jobs], [[tuple(a) for a in of] for of in activities], left]


@pytest.mark.parametrize("lane", ["_start_lane", "_step_lane"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_connection_that_breaks_around_a_commit_costs_nothing(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, lane: str, when: str
) -> None:
    """Whether it has happened is found out: each job starts once, and each callback runs once."""
    monkeypatch.setattr(reconciler, "APART", 0.5)
    calls: list[int] = []

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        calls.append(message["data"]["n"])
        return {"data": message["data"]}

    mesh = await begin(ONE, work=work)
    await open_local_path(mesh)
    calls.clear()
    fetch, broken = getattr(mesh._parts.starts._local, lane).fetch, []

    async def breaking(statement: str, *args: Any) -> Any:
        first = not broken
        broken.append(statement)
        if first and when == "before":
            raise ConnectionLost("the test broke the connection here")
        found = await fetch(statement, *args)
        if first:
            raise ConnectionLost("the test broke the connection here")
        return found

    monkeypatch.setattr(getattr(mesh._parts.starts._local, lane), "fetch", breaking)
    results = await asyncio.gather(*[mesh.pubsub("t", {"n": n}, timeout=100) for n in range(1, 6)])
    assert [r["data"]["n"] for r in results] == [1, 2, 3, 4, 5]
    assert sorted(calls) == [1, 2, 3, 4, 5]
    assert len(broken) > 1


async def test_a_job_that_was_stepped_by_another_is_not_stepped_from_memory(
    begin: Begin, database: Database
) -> None:
    """Interrupted by another process while its callback runs: the answer changes nothing."""
    running, go_on = asyncio.Event(), asyncio.Event()

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        if message["data"]["n"] == 7:
            running.set()
            await go_on.wait()
        return {"data": message["data"]}

    mesh, other = await begin(ONE, work=work), await begin(None)
    await open_local_path(mesh)
    waiting = asyncio.create_task(mesh.pubsub("t", {"n": 7}, timeout=100))
    await running.wait()
    jid = await database.fetchval(
        f"""select jid from "{database.schema}".jobs where state = 'running'"""
    )
    await other.interrupt("t", jid)
    with pytest.raises(JobFailed) as caught:
        await waiting
    assert caught.value.code == 410
    go_on.set()
    await eventually(lambda: _idle(mesh))
    assert await mesh.get_status(jid) < -100_000_000
    assert (await mesh.get_state("t", jid))["data"] == {}


async def test_a_step_from_an_older_copy_is_refused_and_taken_from_the_tables(
    begin: Begin, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has stepped the job while its callback ran: the answer goes to the engines."""
    revise = (
        f"""update "{database.schema}".jobs set revision = revision + 1 where state = 'running'"""
    )
    stepped = False

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        if stepped:
            await database.fetch(revise)
        return {"data": message["data"]}

    mesh = await begin(ONE, work=work)
    await open_local_path(mesh)
    stepped, seen = True, counting(monkeypatch)
    assert (await mesh.pubsub("t", {"n": 4}, timeout=100))["data"] == {"n": 4}
    assert (seen[ADVANCE[:20]], seen["-- The attempt goes "]) == (1, 1)


async def _idle(mesh: HotMesh) -> bool:
    return not any(worker.busy for worker in mesh._parts.host._parts.topics)


async def test_a_paused_worker_takes_no_seat(begin: Begin, database: Database) -> None:
    """Once a pause is confirmed no callback begins, in full flight or after; none is lost by it."""
    begun = 0

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        nonlocal begun
        begun += 1
        return {"data": message["data"]}

    mesh = await begin(ONE, work=work)
    await open_local_path(mesh)
    jobs = f'select count(*) from "{database.schema}".jobs'
    for flight in (300, 20):
        await open_local_path(mesh)
        there = await database.fetchval(jobs)
        waiting = _flight(mesh, flight)
        assert await mesh.throttle(throttle=-1, topic="work")
        before = begun
        waiting += _flight(mesh, 20)
        await eventually(lambda least=there + flight + 20: _at_least(database, jobs, least))
        assert begun == before
        assert await mesh.throttle(throttle=0, topic="work")
        assert len(await asyncio.gather(*waiting)) == flight + 20


async def test_a_paused_engine_takes_no_step(begin: Begin, database: Database) -> None:
    """Callbacks that return during a pause of engines are recorded; their jobs go on after it."""
    gate = asyncio.Event()
    gate.set()

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        await gate.wait()
        return {"data": message["data"]}

    mesh = await begin(ONE, work=work)
    await open_local_path(mesh)
    gate.clear()
    waiting = _flight(mesh, 20)
    running = f"""select count(*) from "{database.schema}".jobs where state = 'running'"""
    await eventually(lambda: _at_least(database, running, 20))
    assert await mesh.throttle(throttle=-1, scope="engines")
    gate.set()
    answers = f'select count(*) from "{database.schema}".engine_streams where expired_at is null'
    await eventually(lambda: _at_least(database, answers, 20))
    assert await database.fetchval(running) == 20
    assert await mesh.throttle(throttle=0, scope="engines")
    assert len(await asyncio.gather(*waiting)) == 20


def _flight(mesh: HotMesh, jobs: int) -> list[asyncio.Task[dict[str, Any]]]:
    return [asyncio.create_task(mesh.pubsub("t", {"n": n}, timeout=100)) for n in range(jobs)]


async def _at_least(database: Database, count: str, least: int) -> bool:
    found: int = await database.fetchval(count)
    return found >= least


async def test_an_attempt_that_may_not_be_repeated_takes_a_seat_too(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit that reserves it waits for the disk, so nothing is flushed before it runs."""
    mesh = await begin(
        ONE.replace("topic: work\n", "topic: work\n          retry: {maximumAttempts: 1}\n"),
        work=echo,
    )
    await open_local_path(mesh)
    seen = counting(monkeypatch)
    for n in range(5):
        await mesh.pubsub("t", {"n": n}, timeout=100)
    assert seen["-- Puts the claim of"] == 0
    assert seen[BEGIN[:20]] == 5
    settings = [await c.fetchval("show synchronous_commit") for c in _lanes(mesh)]
    assert settings == ["on", "on"]


async def test_a_stop_lets_callbacks_with_seats_finish(begin: Begin, database: Database) -> None:
    """Jobs in full flight when the mesh stops: what has begun ends, the rest waits for the next."""
    mesh = await begin(ONE, work=echo)
    await open_local_path(mesh)
    started = [asyncio.create_task(mesh.pub("t", {"n": n})) for n in range(200)]
    await started[0]
    await mesh.stop(5)
    ids = [t.result() for t in started if t.done() and not t.cancelled() and not t.exception()]
    held = f'select count(*) from "{database.schema}".worker_streams where reserved_by is not null'
    assert await database.fetchval(held) == 0
    other = await begin(None, work=echo)
    for jid in ids:
        await eventually(lambda jid=jid: _done(other, jid))
    for task in started:
        task.cancel()
    await asyncio.wait(started)


async def _done(mesh: HotMesh, jid: str) -> bool:
    return await mesh.get_status(jid) == 0
