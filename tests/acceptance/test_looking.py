"""Looking changes nothing: only what is meant to creates a schema, or a database."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from durable.app import connect
from durable.cli.program import program
from durable.errors import ConfigurationError
from durable.hotmesh.mesh import HotMesh
from tests.integration.hotmesh.conftest import echo

LOOKS = [
    ("list",), ("show", "x"), ("result", "x"), ("signal", "x", "s"), ("cancel", "x"),
    ("terminate", "x"), ("resume", "x"), ("prune",), ("start", "fulfil"),
]  # fmt: skip


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
async def test_connecting_creates_a_schema_only_when_told(dsn: str, namespace: str):
    """`connect` and a mesh without an engine refuse; migrate=True and an engine create it."""
    before = await schemas(dsn)
    workers = [{"topic": "t", "callback": echo, "connection": dsn}]
    for refused in (
        connect(dsn, namespace=namespace),
        connect(dsn, namespace=namespace, migrate=False),
        HotMesh.init(app_id="a", namespace=namespace, workers=workers),
    ):
        with pytest.raises(ConfigurationError, match=r"no namespace .*migrate=True"):
            await refused
    assert await schemas(dsn) == before
    mesh = await HotMesh.init(app_id="a", namespace=namespace, engine={"connection": dsn})
    await mesh.stop(0)
    async with await connect(dsn, namespace=namespace) as client:
        assert await client.count() == 0


@pytest.mark.asyncio
async def test_a_schema_that_is_behind_is_named(
    dsn: str, namespace: str, monkeypatch: pytest.MonkeyPatch
):
    """Connecting to what an older build made says which migrations it lacks, and applies none."""
    async with await connect(dsn, namespace=namespace, migrate=True):
        pass
    from durable.postgres import migrate  # noqa: PLC0415 - to be changed here alone

    known = migrate.migrations()
    later = migrate.Migration(9000, "later", "create table durable.later ();")
    monkeypatch.setattr(migrate, "migrations", lambda: [*known, later])
    with pytest.raises(ConfigurationError, match=r"lacks migrations \[9000\].*`durable migrate`"):
        await connect(dsn, namespace=namespace)
    async with await connect(dsn, namespace=namespace, migrate=True):
        pass
