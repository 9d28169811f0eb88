"""Looking changes nothing: only what is meant to creates a schema, or a database."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

import durable
from durable.cli.program import program
from durable.client.client import Client
from durable.composition import connect
from durable.engine.retention import Retention
from durable.errors import ConfigurationError
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from durable.worker.worker import Worker
from tests.integration.hotmesh.conftest import echo

WAYS = r".*`durable migrate`.*migrate=True.*Worker"

LOOKS = [
    ("list",), ("show", "x"), ("result", "x"), ("signal", "x", "s"), ("cancel", "x"),
    ("terminate", "x"), ("resume", "x"), ("prune",), ("start", "fulfil"),
]  # fmt: skip


@durable.activity
async def greet(name: str) -> str:
    """Greet."""
    return f"hello {name}"


@durable.workflow
async def hello(name: str) -> str:
    """Have somebody greeted."""
    return await greet(name)


async def schemas(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return {row[0] for row in await connection.fetch("select nspname from pg_namespace")}
    finally:
        await connection.close()


@pytest.mark.asyncio
async def test_commands_say_that_there_is_no_such_namespace(dsn: str):
    """Each command that looks says so and what would create it, and creates nothing."""
    name, before = f"none_{secrets.token_hex(4)}", await schemas(dsn)
    for arguments in LOOKS:
        where = ["--dsn", dsn, "--namespace", name]
        done = await asyncio.to_thread(CliRunner().invoke, program, [*arguments, *where])
        assert done.exit_code == 1, done.output
        assert f"there is no namespace '{name}'" in done.output
        assert "`durable migrate`" in done.output
    assert await schemas(dsn) == before


def test_commands_make_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In a directory without a database, a command that looks says so, and starts none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DURABLE_DATABASE_URL", raising=False)
    for arguments in LOOKS:
        done = CliRunner().invoke(program, arguments)
        assert done.exit_code == 1, done.output
        assert "there is no database here" in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
async def test_connecting_creates_a_schema_only_when_told(dsn: str, unmigrated: str):
    """`connect` creates nothing, a mesh without an engine refuses; an engine creates it."""
    before = await schemas(dsn)
    workers = [{"topic": "t", "callback": echo, "connection": dsn}]
    async with (
        await connect(dsn, namespace=unmigrated) as one,
        await connect(dsn, namespace=unmigrated, migrate=False) as other,
    ):
        for refused in (
            one.count(),
            other.count(),
            HotMesh.init(app_id="a", namespace=unmigrated, workers=workers),
            HotMesh.init(app_id="a", workers=[{**workers[0], "connection": one}]),
        ):
            with pytest.raises(ConfigurationError, match=f"no namespace {WAYS}"):
                await refused
        assert await schemas(dsn) == before
        mesh = await HotMesh.init(app_id="a", namespace=unmigrated, engine={"connection": dsn})
        await mesh.stop(0)
        assert await one.count() == 0


def operations(client: Client) -> list[Awaitable[object]]:
    """Everything by which a client may ask for a table."""
    handle = client.handle("x")
    return [
        client.start(hello("you"), id="x"),
        client.execute(hello("you"), id="y"),
        client.list(),
        client.count(),
        client.prune(older_than="30d"),
        client.resume("x"),
        handle.result(),
        handle.status(),
        handle.describe(),
        handle.history(),
        handle.signal("s"),
        handle.cancel(),
        handle.terminate(),
    ]


@pytest.mark.asyncio
async def test_clients_wait_for_a_worker_that_migrates(dsn: str, unmigrated: str):
    """Until a Worker starts, each operation says what creates the schema; then each of them works.

    The retention with which a client was connected is stored then, and results are told at once.
    """
    async with (
        await connect(dsn, namespace=unmigrated, retention="90d") as caller,
        await connect(dsn, namespace=unmigrated) as own,
    ):
        for operation in operations(caller):
            with pytest.raises(ConfigurationError, match=f"no namespace {WAYS}"):
                await operation
        async with Worker(own, workflows=[hello], activities=[greet]):
            assert await caller.execute(hello("you"), id="one") == "hello you"
            database = await Database.open(dsn, schema=unmigrated)
            kept = await Retention(database).policy()
            await database.close()
            assert kept is not None
            assert kept.completed == 90 * 86400


@pytest.mark.asyncio
async def test_a_schema_that_is_behind_is_named(
    dsn: str, namespace: str, monkeypatch: pytest.MonkeyPatch
):
    """With what an older build made, operations say which migrations it lacks, and apply none."""
    async with await connect(dsn, namespace=namespace, migrate=True):
        pass
    from durable.postgres import migrator  # noqa: PLC0415 - to be changed here alone

    known = migrator.migrations()
    later = migrator.Migration(9000, "later", "create table durable.later ();")
    monkeypatch.setattr(migrator, "migrations", lambda: [*known, later])
    async with await connect(dsn, namespace=namespace) as client:
        with pytest.raises(ConfigurationError, match=rf"lacks migrations \[9000\]{WAYS}"):
            await client.count()
        async with Worker(client, activities=[greet]):
            assert await client.count() == 0
