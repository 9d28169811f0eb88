# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""What a crash may cost: nothing that was acknowledged, and nothing twice."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from durable.engine.effects import Interruption, Reply
from durable.engine.interpreter import Interpreter
from durable.engine.job_queries import JobQueries
from durable.engine.signals import Signals
from durable.engine.steps.graph_rows import reply_text
from durable.engine.steps.graph_starts import Start
from durable.engine.steps.graph_steps import GraphSteps
from durable.engine.steps.graph_writes import CommitReport
from durable.engine.versions import Versions
from durable.errors import JobFailed
from durable.hotmesh.export import exported
from durable.postgres.connections import DEADLINE, open_connection
from durable.postgres.database import Database
from durable.postgres.errors import ConnectionLost
from durable.protocol.retry import RetryPolicy
from durable.store.graph_messages import WorkStream
from durable.store.members import MemberStore
from tests.integration.hotmesh.conftest import Begin, echo
from tests.waiting import eventually

CHAIN = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        up: {type: worker, topic: up, job: {maps: {up: '{$self.output.data.v}'}}}
        down: {type: worker, topic: down, job: {maps: {down: '{$self.output.data.v}'}}}
        slow: {type: worker, topic: slow, job: {maps: {slow: '{$self.output.data.v}'}}}
      transitions: {t1: [{to: up}, {to: slow}], up: [{to: down}]}
"""


async def test_a_worker_that_dies_before_its_answer_is_repeated_and_its_children_run_once(
    begin: Begin, database: Database
) -> None:
    """SIGKILL between callback and acknowledgement: the callback runs again, what follows it runs once."""
    await database.fetch(f'create table "{database.schema}".calls (topic text, jid text)')
    down: list[str] = []
    slow = asyncio.Event()

    async def follow(message: dict[str, Any]) -> dict[str, Any]:
        down.append(message["metadata"]["jid"])
        return {"data": {"v": "down"}}

    async def branch(_message: dict[str, Any]) -> dict[str, Any]:
        await slow.wait()
        return {"data": {"v": "slow"}}

    async def went_down() -> bool:
        return bool(down)

    mesh = await begin(CHAIN, down=follow, slow=branch)
    waiting = asyncio.create_task(mesh.pubsub("t", {"id": "j"}, timeout=120))
    for fate in ("die", "live"):
        async with _process(database, "up", fate) as process:
            if fate == "die":
                assert await asyncio.wait_for(process.wait(), 60) == -9
            else:
                await eventually(went_down, within=150)
    slow.set()
    assert (await waiting)["data"] == {"up": "up", "down": "down", "slow": "slow"}
    assert down == ["j"]
    assert await database.fetchval(f'select count(*) from "{database.schema}".calls') == 2


@asynccontextmanager
async def _process(
    database: Database, topic: str, fate: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    program = Path(__file__).with_name("worker_process.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), database.dsn, database.schema, topic, fate,
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3], env={"PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), 30)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def member(database: Database) -> AsyncIterator[int]:
    """A member that keeps its lock and does not beat: nobody but the test declares it dead."""
    connection = await open_connection(database.address, "test")
    try:
        members = MemberStore(database.schema)
        joined = await members.join(connection, "test", "here", 1)
        assert await members.lock(connection, joined)
        yield joined
    finally:
        connection.terminate()


async def _bury(database: Database, member_id: int) -> None:
    connection = await open_connection(database.address, "test")
    try:
        await MemberStore(database.schema).reap(connection, member_id)
    finally:
        connection.terminate()


async def test_a_late_answer_is_refused(begin: Begin, database: Database) -> None:
    """Who was declared dead cannot answer any more; who took over can, once."""
    mesh = await begin(CHAIN)
    await mesh.pub("t", {"id": "j"})
    stream = WorkStream(database, "app", "up", None)
    async with member(database) as first, member(database) as second:
        [taken] = await stream.take(first, 5)
        await _bury(database, first)
        [again] = await stream.take(second, 5)
        assert again.id == taken.id
        text = reply_text(Reply("response", {"v": "x"}))
        assert await stream.answer(first, taken, text) is False
        assert await stream.answer(second, again, text) is True
        assert await stream.answer(second, again, text) is False


async def test_an_attempt_that_may_not_be_repeated_is_not(begin: Begin, database: Database) -> None:
    """With maximumAttempts 1 a lost worker makes the job fail: whether it took effect is unknown."""
    mesh = await begin(CHAIN.replace("topic: up,", "topic: up, retry: {maximumAttempts: 1},"))
    waiting = asyncio.create_task(mesh.pubsub("t", {"id": "j"}, timeout=100))
    stream = WorkStream(database, "app", "up", RetryPolicy())
    async with member(database) as lost:
        taken = await eventually(lambda: stream.take(lost, 5))
        assert taken[0].last
        await _bury(database, lost)
    with pytest.raises(JobFailed, match="unknown"):
        await waiting
    async with member(database) as other:
        assert await stream.take(other, 5) == []


async def test_an_interrupted_jobs_worker_is_refused_and_not_tried_again(
    begin: Begin, database: Database
) -> None:
    """After an interruption nothing of the job is left to do, and what still runs changes nothing."""
    mesh = await begin(CHAIN)
    await mesh.pub("t", {"id": "j"})
    stream = WorkStream(database, "app", "up", None)
    async with member(database) as holder:
        [taken] = await stream.take(holder, 5)
        await mesh.interrupt("t", "j")
        assert await stream.try_again(holder, taken, '{"message": "x"}', 0.0) is False
        assert await stream.answer(holder, taken, "{}") is False
        assert await stream.take(holder, 5) == []
        assert await WorkStream(database, "app", "slow", None).take(holder, 5) == []


async def test_a_message_that_cannot_be_applied_stands_aside_and_its_job_fails(
    begin: Begin, database: Database
) -> None:
    """One broken message among good ones: the good ones are applied, it is kept with its error."""
    mesh = await begin(CHAIN, up=echo, down=echo, slow=echo)
    await mesh.stop()
    quiet = await begin(None)
    await quiet.stop()
    steps = GraphSteps(database, Versions(database).plans, RetryPolicy(), lambda: 0.5)
    for n in range(5):
        await steps.start(Start("app", "t", {"id": f"j{n}"}))
        for topic in ("up", "slow"):
            stream = WorkStream(database, "app", topic, None)
            async with member(database) as worker:
                [taken] = await stream.take(worker, 1)
                text = reply_text(Reply("response", {"v": n}))
                await stream.answer(
                    worker, taken, '{"error": 5}' if (n, topic) == (2, "up") else text
                )
    written: list[CommitReport] = []
    interpreter = Interpreter(steps, "app", written.append)
    await interpreter.drain()
    jobs = JobQueries(database, Versions(database).plans)
    states = [(await jobs.find("app", f"j{n}"))[0] for n in range(5)]
    assert [job.state for job in states] == ["running", "running", "failed", "running", "running"]
    assert states[2].error is not None
    assert [job.data for n, job in enumerate(states) if n != 2] == [
        {"up": n, "slow": n} for n in (0, 1, 3, 4)
    ]
    dead = await database.fetch(
        f'select jid, dead_lettered_at is not null as dead, error from "{database.schema}".engine_streams'
    )
    assert [(r["jid"], r["dead"]) for r in dead] == [("j2", True)]
    assert json.loads(dead[0]["error"])["message"].startswith("AttributeError")
    assert [job.jid for w in written for job, _ in w.ended] == ["j2"]


EVERYTHING = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        p1: {type: hook, cycle: true, output: {maps: {n: 0}}}
        w1: {type: worker, topic: up, input: {maps: {n: '{p1.output.data.n}'}}}
        c1: {type: cycle, ancestor: p1, input: {maps: {n: {'@pipe': [['{p1.output.data.n}', 1], ['{@math.add}']]}}}}
        a1: {type: await, topic: child, input: {maps: {id: kid}}, job: {maps: {child: '{$self.output.data.v}'}}}
        h1: {type: hook, sleep: 3600, job: {maps: {word: '{$self.hook.data.word}'}}}
        g1: {type: signal, subtype: one, topic: say, signal: {maps: {id: '{$job.metadata.jid}', word: hello}}}
      transitions:
        t1: [{to: p1}, {to: a1}, {to: h1}, {to: g1}]
        p1: [{to: w1}]
        w1:
          - to: c1
            conditions:
              match: [{expected: true, actual: {'@pipe': [['{p1.output.data.n}', 2], ['{@conditional.less_than}']]}}]
      hooks:
        say:
          - {to: h1, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}
    - subscribes: child
      activities:
        t2: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        w2: {type: worker, topic: up, job: {maps: {v: '{$self.output.data.v}'}}}
      transitions: {t2: [{to: w2}]}
"""


class Breaking(Database):
    """A database whose connection breaks before one chosen statement inside a transaction."""

    breaks_at: int = -1
    count: int = 0

    @asynccontextmanager
    async def connection(self, deadline: float = DEADLINE) -> AsyncIterator[Any]:
        """A connection that counts."""
        async with super().connection(deadline) as connection:
            yield _Counting(connection, self)


class _Counting:
    def __init__(self, connection: Any, database: Breaking) -> None:
        self._connection = connection
        self._database = database

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in ("fetch", "fetchrow", "fetchval", "execute"):
            return found

        async def counted(*args: Any) -> Any:
            self._database.count += 1
            if self._database.count == self._database.breaks_at:
                raise ConnectionLost("the test broke the connection here")
            return await found(*args)

        return counted


async def _scenario(database: Breaking) -> dict[str, Any]:
    """Run EVERYTHING to its end, trying again whatever broke; what is left of it, times and ids apart."""
    versions = Versions(database)
    await _again(lambda: versions.deploy(EVERYTHING))
    await _again(lambda: versions.activate("app", "1"))
    jobs = JobQueries(database, versions.plans)
    stream = WorkStream(database, "app", "up", None)
    calls: list[str] = []
    async with member(database) as worker:
        steps = GraphSteps(
            database, versions.plans, RetryPolicy(), lambda: 0.5, member=lambda: worker
        )
        interpreter = Interpreter(steps, "app", lambda _written: None)
        await _again(lambda: steps.start(Start("app", "t", {"id": "j"})))
        for _ in range(20):
            await _again(interpreter.drain)
            for taken in await stream.take(worker, 10):
                calls.append(f"{taken.jid} {taken.dad} {taken.message}")
                await stream.answer(
                    worker, taken, reply_text(Reply("response", {"v": len(taken.dad)}))
                )
            job, plan, now = await _again(lambda: jobs.find("app", "j"))
            if job.state != "running":
                break
    left = [
        await database.fetchval(f'select count(*) from "{database.schema}".{table}')
        for table in ("engine_streams", "worker_streams", "hooks", "early_signals")
    ]
    document = exported(job, plan, now, await _again(lambda: jobs.history(job)))
    del document["activities"], document["process"]["metadata"]
    return {"calls": sorted(calls), "left": left, "job": document, "state": job.state}


async def emptied(database: Database) -> None:
    """Delete all rows but those that migrations wrote: cheaper than a new schema for each crash."""
    kept = ("migrations", "revisions", "sweeps")
    tables = await database.fetch(
        "select c.relname::text as name from pg_class c where c.relnamespace = $1::regnamespace"
        " and c.relkind = 'r' and c.relname <> all($2)",
        database.schema,
        kept,
    )
    assert len(tables) > 10
    for table in tables:
        await database.fetch(f'delete from "{database.schema}".{table["name"]}')


async def _again(action: Callable[[], Any]) -> Any:
    try:
        return await action()
    except ConnectionLost:
        return await action()


async def test_a_crash_at_any_statement_changes_nothing(dsn: str, database: Database) -> None:
    """The connection breaks before each statement of every step in turn: the job ends the same, each call once."""

    async def run(at: int) -> tuple[dict[str, Any], int]:
        await emptied(database)
        opened = await Breaking.open(dsn, schema=database.schema, size=4)
        try:
            opened.count, opened.breaks_at = 0, at
            return await _scenario(opened), opened.count
        finally:
            opened.breaks_at = -1
            await opened.close()

    whole, statements = await run(-1)
    assert whole["state"] == "completed"
    assert whole["left"] == [0, 0, 0, 0]
    assert whole["job"]["process"]["data"] == {"child": 4, "word": "hello"}
    assert len(whole["calls"]) == 4
    assert statements > 60
    for at in range(1, statements + 1):
        assert (await run(at))[0] == whole, f"statement {at}"


async def test_an_interruption_that_breaks_leaves_the_job_running(
    dsn: str, database: Database
) -> None:
    """Half an interruption is none: the job, its timers and waiters are as before."""
    opened = await Breaking.open(dsn, schema=database.schema, size=4)
    versions = Versions(opened)
    await versions.deploy(EVERYTHING)
    await versions.activate("app", "1")
    steps = GraphSteps(opened, versions.plans, RetryPolicy(), lambda: 0.5)
    await steps.start(Start("app", "t", {"id": "j"}))
    before = await _dump(database)
    opened.count, opened.breaks_at = 0, 0
    while True:
        opened.breaks_at += 1
        opened.count = 0
        try:
            await steps.interrupt("app", "j", Interruption())
        except ConnectionLost:
            assert await _dump(database) == before
        else:
            break
    assert opened.breaks_at > 5
    assert await _dump(database) != before
    await opened.close()


async def _dump(database: Database) -> list[Any]:
    tables = ("jobs", "activities", "engine_streams", "worker_streams", "hooks", "early_signals")
    return [
        [
            tuple(r.values())
            for r in await database.fetch(
                f'select * from "{database.schema}".{table} order by 1, 2, 3'
            )
        ]
        for table in tables
    ]


class Pausing(Database):
    """A database that stands still before it writes a waiter, until told to go on."""

    async def standing(self) -> None:
        """Returns when it stands still."""
        await self.reached.wait()

    reached: asyncio.Event
    go_on: asyncio.Event

    @asynccontextmanager
    async def connection(self, deadline: float = DEADLINE) -> AsyncIterator[Any]:
        """A connection that waits before it registers a waiter."""
        async with super().connection(deadline) as connection:
            yield _Standing(connection, self)


class _Standing:
    def __init__(self, connection: Any, database: Pausing) -> None:
        self._connection = connection
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, statement: str, *args: Any) -> Any:
        """Stand still after the waiter is written, before its commit."""
        result = await self._connection.execute(statement, *args)
        if ".hooks (" in statement:
            self._database.reached.set()
            await self._database.go_on.wait()
        return result


async def test_a_signal_waits_for_a_waiter_that_is_being_written(
    dsn: str, database: Database
) -> None:
    """A signal that is routed while its waiter is not yet committed is delivered, not kept for ever."""
    slow = await Pausing.open(dsn, schema=database.schema, size=4)
    slow.reached, slow.go_on = asyncio.Event(), asyncio.Event()
    versions = Versions(database)
    await versions.deploy(WAITING)
    await versions.activate("app", "1")
    starting = asyncio.create_task(
        GraphSteps(slow, Versions(slow).plans, RetryPolicy(), lambda: 0.5).start(
            Start("app", "t", {"id": "j"})
        )
    )
    await asyncio.wait_for(slow.standing(), 30)
    await Signals(database).send("app", "say", Reply("webhook", {"id": "j", "word": "hello"}))
    steps = GraphSteps(database, versions.plans, RetryPolicy(), lambda: 0.5)
    interpreter = Interpreter(steps, "app", lambda _written: None)
    routing = asyncio.create_task(interpreter.drain())

    async def blocked() -> Any:
        return routing.done() or await database.fetchval(
            "select count(*) > 0 from pg_locks where locktype = 'advisory' and not granted"
        )

    await eventually(blocked)
    assert not routing.done()
    slow.go_on.set()
    await asyncio.gather(starting, routing)
    await interpreter.drain()
    job, _, _ = await JobQueries(database, versions.plans).find("app", "j")
    assert (job.state, job.data) == ("completed", {"word": "hello"})
    await slow.close()


WAITING = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        h1: {type: hook, job: {maps: {word: '{$self.hook.data.word}'}}}
      transitions: {t1: [{to: h1}]}
      hooks:
        say:
          - {to: h1, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}
"""


async def test_two_engines_share_the_work(begin: Begin, database: Database) -> None:
    """Three engines on one app, two hundred jobs with parallel branches: each callback once, nothing left."""
    calls: list[str] = []

    async def once(message: dict[str, Any]) -> dict[str, Any]:
        calls.append(message["metadata"]["jid"] + message["metadata"]["aid"])
        return {"data": {"v": 1}}

    mesh = await begin(CHAIN, up=once, down=once, slow=once)
    for _ in range(2):
        await begin(None, up=once, down=once, slow=once)
    outs = await asyncio.gather(
        *(mesh.pubsub("t", {"id": f"j{n}"}, timeout=50) for n in range(200))
    )
    assert all(out["data"] == {"up": 1, "down": 1, "slow": 1} for out in outs)
    assert len(calls) == len(set(calls)) == 600
    for table in ("engine_streams", "worker_streams"):
        assert await database.fetchval(f'select count(*) from "{database.schema}".{table}') == 0
