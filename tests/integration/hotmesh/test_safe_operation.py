# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Known ways in which an engine of this kind fails those who operate it, each provoked and not found.

The numbers are those of the list of defects that `test_known_defects` checks for completeness.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from durable.composition import connect
from durable.errors import (
    ConfigurationError,
    DatabaseError,
    DescriptorError,
    DuplicateJob,
    JobNotFound,
)
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin, Callback, echo
from tests.waiting import eventually

ONE = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 100
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        w1: {type: worker, topic: work, input: {maps: {id: '{$job.metadata.jid}'}}, job: {maps: {v: '{$self.output.data.v}', 'about[_]': '{t1.output.data.about}'}}}
      transitions: {t1: [{to: w1}]}
"""


async def test_a_mesh_comes_back_when_its_connections_are_cut(
    begin: Begin, database: Database, dsn: str
) -> None:
    """O1: every connection of engine, worker, listener and member is ended, again and again: each job ends well."""
    calls: Counter[str] = Counter()

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        calls[message["data"]["id"]] += 1
        return {"data": {"v": 1}}

    mesh = await begin(ONE, work=work)
    connection = await asyncpg.connect(dsn)
    try:
        for n in range(5):
            started = [asyncio.create_task(_started(mesh, f"j{n}-{k}")) for k in range(5)]
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name like 'durable %' and datname = current_database()"
            )
            await asyncio.gather(*started)
            for k in range(5):
                await eventually(lambda jid=f"j{n}-{k}": _is_done(mesh, jid), 30)  # type: ignore[misc]
    finally:
        await connection.close()
    assert set(calls.values()) == {1}
    assert len(calls) == 25
    query = f'select count(*) from "{database.schema}".worker_streams where expired_at is null'
    assert await database.fetchval(query) == 0


async def _started(mesh: HotMesh, jid: str) -> None:
    """Start a job; whoever hears of a broken connection sends it again, and may find it there."""
    while True:
        try:
            await mesh.pub("t", {"id": jid, "about": {}})
        except DatabaseError:
            continue
        except DuplicateJob:
            return
        else:
            return


async def _is_done(mesh: HotMesh, jid: str) -> bool:
    try:
        return await mesh.get_status(jid) == 0
    except DatabaseError:
        return False


async def test_a_worker_runs_no_more_at_once_than_it_may(database: Database) -> None:
    """O4: 60 jobs, two workers of three callbacks each: both run three at once, and neither ever more."""
    running: Counter[str] = Counter()
    done: list[str] = []
    most: Counter[str] = Counter()
    both = asyncio.Event()

    def worker(name: str) -> Callback:
        async def work(_message: dict[str, Any]) -> dict[str, Any]:
            running[name] += 1
            most[name] = max(most[name], running[name])
            if min(running["a"], running["b"]) == 3:
                both.set()
            await both.wait()
            await asyncio.sleep(0.01)
            running[name] -= 1
            done.append(name)
            return {"data": {"v": 1}}

        return work

    async with AsyncExitStack() as stack:
        meshes = []
        for name in ("a", "b"):
            mesh = await HotMesh.init(
                app_id="app",
                namespace=database.schema,
                engine={"connection": database.dsn},
                workers=[{"topic": "work", "callback": worker(name), "concurrency": 3}],
            )
            stack.push_async_callback(mesh.stop, 0)
            meshes.append(mesh)
        await meshes[0].deploy(ONE)
        await meshes[0].activate("1")
        await asyncio.gather(
            *(meshes[0].pubsub("t", {"id": f"j{n}", "about": {}}, timeout=100) for n in range(60))
        )
    assert most == {"a": 3, "b": 3}
    assert len(done) == 60


async def test_a_readonly_engine_moves_nothing(begin: Begin, database: Database) -> None:
    """O5: it starts jobs, signals and looks, and not one message is consumed until another engine comes."""
    async with await HotMesh.init(
        app_id="app",
        namespace=database.schema,
        engine={"connection": database.dsn, "readonly": True},
        workers=[{"topic": "work", "callback": echo}],
    ) as mesh:
        await mesh.deploy(ONE)
        await mesh.activate("1")
        await mesh.pub("t", {"id": "j", "about": {}})
        answers = (
            f"select count(*) from \"{database.schema}\".engine_streams where msg_type = 'response'"
        )

        async def answered() -> bool:
            return bool(await database.fetchval(answers))

        await eventually(answered)
        await mesh.deploy(ONE.replace("version: '1'", "version: '2'"))
        assert await mesh.get_status("j") == 1
        assert [p["worker_topic"] for p in await mesh.roll_call()] == ["work"]
        assert await answered()
        waiting = asyncio.create_task(mesh.pubsub("t", {"id": "k", "about": {}}, timeout=100))
        await begin(None)
        assert (await waiting)["metadata"]["js"] == 0
    with pytest.raises(ConfigurationError, match="readonly"):
        await HotMesh.init(app_id="app", engine={"connection": "x", "readonly": "yes"})


@asynccontextmanager
async def _second_database(dsn: str) -> AsyncIterator[str]:
    name = f"d_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(dsn)
    await connection.execute(f'create database "{name}"')
    try:
        yield urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
    finally:
        await connection.execute(f'drop database "{name}" with (force)')
        await connection.close()


async def test_one_process_serves_the_same_app_in_two_databases(dsn: str, unmigrated: str) -> None:
    """O6, O13: same app, topic, graph and job id, other database: each has its own jobs, workers and versions."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(f'create schema "{unmigrated}"')
    await connection.close()
    async with _second_database(dsn) as other, AsyncExitStack() as stack:
        meshes = []
        for n, url in enumerate((dsn, other)):

            async def work(_message: dict[str, Any], n: int = n) -> dict[str, Any]:
                return {"data": {"v": n}}

            mesh = await HotMesh.init(
                app_id="app",
                namespace=unmigrated,
                engine={"connection": url},
                workers=[{"topic": "work", "callback": work}],
            )
            stack.push_async_callback(mesh.stop, 0)
            await mesh.deploy(ONE.replace("version: '1'", f"version: '{n}'"))
            await mesh.activate(str(n))
            meshes.append(mesh)
        for n, mesh in enumerate(meshes):
            for k in range(5):
                out = await mesh.pubsub("t", {"id": f"j{k}", "about": {}}, timeout=100)
                assert (out["data"], out["metadata"]["vrs"]) == ({"v": n}, str(n))
        assert [len(await mesh.roll_call()) for mesh in meshes] == [2, 2]
        await meshes[0].pub("t", {"id": "only here", "about": {}})
        with pytest.raises(JobNotFound):
            await meshes[1].get_status("only here")


async def test_no_setting_lets_a_role_read_a_stream(database: Database, dsn: str) -> None:
    """O7: what a role may do is what it was granted: it may set whatever it likes, and nothing runs with other rights."""
    role = f"r_{secrets.token_hex(6)}"
    owner = await asyncpg.connect(dsn)
    try:
        await owner.execute(
            f'create role "{role}"; grant usage on schema "{database.schema}" to "{role}"'
        )
        await owner.execute(f'set role "{role}"')
        await owner.execute("set app.allowed_streams = 'work,app'")
        found = await owner.fetch(
            "select tablename from pg_tables where schemaname = $1", database.schema
        )
        assert len(found) > 10
        for row in found:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.fetch(f'select from "{database.schema}".{row["tablename"]}')
        trusted = await owner.fetch(
            "select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace"
            " where n.nspname = $1 and p.prosecdef", database.schema,
        )  # fmt: skip
        assert trusted == []
    finally:
        await owner.execute("reset role")
        await owner.execute(f'drop owned by "{role}"; drop role "{role}"')
        await owner.close()


HOSTILE = (
    "'; drop table jobs; --",
    '"; drop schema public cascade; --',
    "$1",
    "%s {0} \\ \x01",
    "ключ 你好 🙂",
    "a::text) or true --",
)


@pytest.mark.parametrize("name", HOSTILE)
async def test_names_are_never_part_of_sql(begin: Begin, database: Database, name: str) -> None:
    """O12: ids, topics, attribute names and throttles that look like SQL are names, and nothing more."""
    mesh = await begin(ONE, work=echo)
    out = await mesh.pubsub("t", {"id": name, "about": {name: "x"}}, timeout=100)
    assert out["metadata"]["jid"] == name
    stored = f'"_{name}"'  # in quotes: as it is stored
    assert await mesh.query_state(name, [stored]) == {stored: "x"}
    assert await mesh.get_status(name) == 0
    assert (await mesh.get_raw(name))[":"] == 0
    for attempt in (
        mesh.throttle({"throttle": 0, "topic": name}),
        mesh.hook(name, {"id": name}),
        mesh.pub(name, {}),
        mesh.sub(name, lambda _topic, _job: None),
        mesh.activate(name),
    ):
        with pytest.raises((ConfigurationError, DescriptorError)):
            await attempt
    await mesh.scrub(name)
    with pytest.raises(JobNotFound):
        await mesh.interrupt("t", name)
    tables = await database.fetchval(
        "select count(*) from pg_tables where schemaname = $1", database.schema
    )
    assert tables > 10


async def test_nothing_claims_to_encrypt_a_part(dsn: str, namespace: str) -> None:
    """O11: while not every payload can be sealed, a codec is refused where it is given, and not half obeyed."""
    for where in ("engine", "worker"):
        options: dict[str, Any] = {
            "engine": {"connection": dsn},
            "workers": [{"topic": "work", "callback": echo}],
        }
        given = options["engine"] if where == "engine" else options["workers"][0]
        given["codec"] = object()
        with pytest.raises(ConfigurationError, match="codec"):
            await HotMesh.init(app_id="app", namespace=namespace, **options)
    with pytest.raises(TypeError, match="codec"):
        await connect(dsn, namespace=namespace, codec=object())  # type: ignore[call-arg]
