"""Programs run as users run them: processes of their own, on a database of their own."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from durable.app import connect

PROJECT = Path(__file__).parents[2]
Program = Callable[..., subprocess.Popen[str]]


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


async def _migrate(dsn: str) -> None:
    await (await connect(dsn, migrate=True)).close()


def _in(dsn: str, name: str) -> str:
    return urlsplit(dsn)._replace(path=f"/{name}").geturl()


@pytest.fixture(scope="session")
def template(dsn: str) -> Iterator[str]:
    """A database whose namespace is the default one, and migrated; nobody connects to it."""
    name = f"d_{secrets.token_hex(6)}"
    asyncio.run(_execute(dsn, f'create database "{name}"'))
    asyncio.run(_migrate(_in(dsn, name)))
    yield name
    asyncio.run(_execute(dsn, f'drop database "{name}" with (force)'))


@pytest_asyncio.fixture
async def database_url(dsn: str, template: str) -> AsyncIterator[str]:
    """The DSN of a database of the test's own, a copy of the template."""
    name = f"d_{secrets.token_hex(6)}"
    await _execute(dsn, f'create database "{name}" template "{template}"')
    yield _in(dsn, name)
    await _execute(dsn, f'drop database "{name}" with (force)')


@pytest.fixture
def program(database_url: str, tmp_path: Path) -> Iterator[Program]:
    """Start `python …` in an empty directory; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path, **environment: str | None) -> subprocess.Popen[str]:
        surroundings = {
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "DURABLE_DATABASE_URL": database_url,
            "NO_COLOR": "1",
            "COLUMNS": "100",
            **environment,
        }
        surroundings = {k: v for k, v in surroundings.items() if v is not None}
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=tmp_path, env=surroundings,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def cli(program: Program) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `durable …` to its end."""

    def run(*arguments: str | Path, **environment: str | None) -> subprocess.CompletedProcess[str]:
        process = program("-m", "durable", *arguments, **environment)
        out, err = process.communicate(timeout=150)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    return run


@pytest.fixture
def examples() -> Path:
    """The directory of the examples."""
    return PROJECT / "examples"
