"""Postgres refuses for a while, or refuses one run: no run is stopped by that, and none is lost."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

import durable
from durable.client.client import Client
from durable.composition import connect
from durable.postgres.sqlstate import classify
from durable.runtime import reconciler, supervision
from durable.store.runs import RELEASES_MAX, RunStream
from durable.worker.worker import Worker
from tests.waiting import eventually

APP = """
app:
  id: shop
  version: 1
  graphs:
    - subscribes: repair
      activities:
        arrive: {type: trigger}
        a: {type: worker, topic: t}
        b: {type: worker, topic: t}
        c: {type: worker, topic: t}
      transitions: {arrive: [{to: a}], a: [{to: b}], b: [{to: c}]}
"""


@durable.activity
async def quick(seconds: float) -> int:
    await asyncio.sleep(seconds)
    return 1


@durable.workflow
async def flow(number: int, seconds: float) -> int:
    return sum([await quick(seconds) for _ in range(number)])


class Server:
    """The server as its operator sees it: with a role of the test's own, and its namespace."""

    def __init__(self, connection: asyncpg.Connection, role: str, namespace: str) -> None:
        self.connection = connection
        self.role = role
        self.namespace = namespace

    async def rows(self, query: str, *args: Any) -> list[Any]:
        return await self.connection.fetch(query.replace("durable.", f"{self.namespace}."), *args)

    async def execute(self, query: str) -> None:
        await self.connection.execute(query.replace("durable.", f"{self.namespace}."))

    @asynccontextmanager
    async def refusing_logins(self) -> AsyncIterator[None]:
        """The role may not log in, and loses the connections that it has."""
        await self.execute(f"alter role {self.role} nologin")
        await self.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", self.role
        )
        yield
        await self.execute(f"alter role {self.role} login")

    @asynccontextmanager
    async def refusing(self, table: str, code: str, when: str = "true") -> AsyncIterator[None]:
        """Changes of a table are refused with an SQLSTATE."""
        await self.execute(
            f"create or replace function durable.refuse() returns trigger language plpgsql as $$"
            f" begin if {when} then raise exception 'injected' using errcode = '{code}'; end if;"
            f" return coalesce(new, old); end $$;"
            f" create trigger refuse before insert or update or delete on durable.{table}"
            f" for each row execute function durable.refuse()"
        )
        yield
        await self.execute(f"drop trigger refuse on durable.{table}")

    async def nothing_is_left(self) -> None:
        """No row of a stream is alive."""

        async def empty() -> bool:
            return not await self.rows(
                "select id from durable.worker_streams where expired_at is null union all"
                " select id from durable.engine_streams where expired_at is null"
            )

        await eventually(empty)


@pytest.fixture
def namespace(unmigrated: str) -> str:
    """A schema that is not there yet: a role of the test's own is to own it."""
    return unmigrated


@pytest_asyncio.fixture
async def server(dsn: str, namespace: str) -> AsyncIterator[Server]:
    connection = await asyncpg.connect(dsn)
    role = f"r_{secrets.token_hex(6)}"
    name = await connection.fetchval("select current_database()")
    await connection.execute(
        f'create role {role} login; grant create on database "{name}" to {role}'
    )
    yield Server(connection, role, namespace)
    await connection.execute(f"drop owned by {role} cascade; drop role {role}")
    await connection.close()


@pytest_asyncio.fixture
async def client(dsn: str, server: Server) -> AsyncIterator[Client]:
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    query = {k: v for k, v in parse_qsl(parts.query) if k != "user"}
    at = urlunsplit(parts._replace(netloc=f"{server.role}@{host}", query=urlencode(query)))
    async with await connect(at, namespace=server.namespace, migrate=True) as connected:
        yield connected


@asynccontextmanager
async def mesh_on(
    client: Client, work: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
) -> AsyncIterator[durable.HotMesh]:
    mesh = await durable.HotMesh.init(
        app_id="shop", engine={"connection": client},
        workers=[{"topic": "t", "callback": work, "connection": client}],
    )  # fmt: skip
    async with mesh:
        await mesh.deploy(APP)
        await mesh.activate("1")
        yield mesh


async def test_a_login_that_is_refused_for_a_moment_stops_nothing(
    client: Client, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Runs and jobs go on by themselves once the role may log in again; none was suspended."""

    async def work(_message: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0.2)
        return {"data": {}}

    caplog.set_level(logging.WARNING)
    async with (
        mesh_on(client, work) as mesh,
        Worker(client, workflows=[flow], activities=[quick]),
    ):
        handles = [await client.start(flow(6, 0.1)) for _ in range(10)]
        job = await mesh.pub("repair", {})
        await asyncio.sleep(0.2)
        async with server.refusing_logins():
            await asyncio.sleep(1.0)
        async with asyncio.timeout(90):
            assert [await h.result() for h in handles] == [6] * 10

            async def done() -> bool:
                return await mesh.get_status(job) == 0

            await eventually(done)
        await server.nothing_is_left()
    assert "suspended" not in caplog.text


@pytest.mark.parametrize(
    ("table", "code"),
    [
        ("worker_streams", "42501"), ("jobs", "XX000"), ("history", "28000"), ("jobs", "26000"),
        ("worker_streams", "57P05"), ("history", "25P04"), ("worker_streams", "3D000"),
        ("jobs", "42P01"),
    ],
)  # fmt: skip
async def test_whatever_is_refused_for_a_moment_the_run_goes_on(
    client: Client, server: Server, table: str, code: str
) -> None:
    """No SQLSTATE is the last answer that a run gets; attempts on the stream go on, too."""
    async with (
        Worker(client, workflows=[flow]),
        Worker(client, activities=[quick]),
        Worker(client, workflows=[flow], activities=[quick], task_queue="both"),
    ):
        handles = [
            await client.start(flow(2, 0.1), task_queue=queue)
            for queue in ("default", "both")
            for _ in range(3)
        ]
        await asyncio.sleep(0.05)
        async with server.refusing(table, code):
            await asyncio.sleep(0.5)
        async with asyncio.timeout(90):
            assert [await h.result() for h in handles] == [2] * 6
        await server.nothing_is_left()
    assert classify(code)


async def test_only_the_tenth_release_in_a_row_suspends_a_run(
    client: Client, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug releases the run, later each time; then it is suspended, which the table says first."""
    async with Worker(client, workflows=[flow], activities=[quick]):
        good = await client.start(flow(1, 0.0))
        assert await good.result() == 1
        wake = "select * from durable.worker_streams where msg_type = 'turn'"
        async with server.refusing("history", "42883"):
            handle = await client.start(flow(1, 0.0), id="bad")

            async def released() -> Any:
                free = [r for r in await server.rows(wake) if r["reserved_by"] is None]
                return [r for r in free if r["releases"]]

            await eventually(released)
            assert (await handle.describe()).state == "running"
            await server.execute(
                f"update durable.worker_streams set releases = {RELEASES_MAX - 1},"
                " visible_at = clock_timestamp() where msg_type = 'turn'"
            )

            async def suspended() -> bool:
                return (await handle.describe()).state == "suspended"

            await eventually(suspended)
            (job,) = await server.rows("select error from durable.jobs where jid = 'bad'")
            assert "injected" in job["error"]
        assert await client.resume("bad")
        assert await handle.result(timeout=60) == 1
    assert "suspended" in caplog.text


async def test_a_result_that_cannot_be_stored_is_its_attempts_failure(
    client: Client, server: Server
) -> None:
    """On the stream one refused answer fails its attempt, and holds up no other."""
    async with Worker(client, workflows=[flow]), Worker(client, activities=[quick]):
        await server.execute(
            "create function durable.refuse_one() returns trigger language plpgsql as $$ begin"
            " if new.jid = 'bad' and new.message is not null and new.topic = 'activity' then"
            " raise exception 'cannot be stored' using errcode = '22P05'; end if;"
            " return new; end $$;"
            "create trigger refuse_one before insert on durable.engine_streams"
            " for each row execute function durable.refuse_one()"
        )
        bad = await client.start(flow(1, 0.0), id="bad")
        good = [await client.start(flow(1, 0.0)) for _ in range(4)]
        assert [await h.result(timeout=60) for h in good] == [1] * 4
        with pytest.raises(durable.WorkflowFailed) as failed:
            await bad.result(timeout=60)
        assert "cannot be stored" in str(failed.value.__cause__)
        await server.execute("drop trigger refuse_one on durable.engine_streams")
        await server.nothing_is_left()


async def test_what_is_reserved_without_our_knowledge_is_let_go_of(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to a claim was lost: a run, an attempt and a piece of graph work come free."""
    monkeypatch.setattr(reconciler, "APART", 0.5)

    async def work(_message: dict[str, Any]) -> dict[str, Any]:
        return {"data": {}}

    async with mesh_on(client, work) as mesh, Worker(client, workflows=[flow], activities=[quick]):
        await server.execute(
            "create function durable.claim() returns trigger language plpgsql as $$ begin"
            " new.reserved_by = (select max(member_id) from durable.members m"
            " where (m.name = 'shop') = (new.msg_type = 'worker')); return new; end $$;"
            "create trigger claim before insert on durable.worker_streams"
            " for each row execute function durable.claim()"
        )
        handle = await client.start(flow(1, 0.0))
        job = await mesh.pub("repair", {})
        await server.execute("drop trigger claim on durable.worker_streams")

        async def done() -> bool:
            return await mesh.get_status(job) == 0

        await eventually(done)
        assert await handle.result(timeout=60) == 1
        await server.nothing_is_left()


async def test_a_worker_whose_loop_breaks_ends_loudly_and_gives_its_runs_back(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in a loop is tried again; then `run` raises it, and so does `async with`."""
    monkeypatch.setattr(supervision, "backoff", lambda _failures, **_: 0.0)
    real = RunStream.look

    async def broken(*_: Any) -> Any:
        raise KeyError("a bug")

    async def ended(worker: Worker) -> None:
        async with worker:
            await worker.ended()

    for serve in (Worker.run, ended):
        monkeypatch.setattr(RunStream, "look", broken)
        worker = Worker(client, workflows=[flow], activities=[quick], grace=0)
        with pytest.raises(KeyError, match="a bug"):
            await asyncio.wait_for(serve(worker), 60)
        monkeypatch.setattr(RunStream, "look", real)
    assert not await server.rows("select from durable.members")
