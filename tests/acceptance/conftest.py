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

from durable.composition import connect
from tests.acceptance.forked import SECONDS_MAX, run_command

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
def surroundings(database_url: str) -> Callable[..., dict[str, str]]:
    """The variables of a program, with some that differ or, being None, are missing."""

    def given(**environment: str | None) -> dict[str, str]:
        found = {
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "DURABLE_DATABASE_URL": database_url,
            "NO_COLOR": "1",
            "COLUMNS": "100",
            **environment,
        }
        return {k: v for k, v in found.items() if v is not None}

    return given


@pytest.fixture
def program(surroundings: Callable[..., dict[str, str]], tmp_path: Path) -> Iterator[Program]:
    """Start `python …` in an empty directory; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path, **environment: str | None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=tmp_path, env=surroundings(**environment),
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def cli(
    surroundings: Callable[..., dict[str, str]], program: Program, tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `durable …` to its end, in the directory of `program`.

    A fork does so, but where a variable is for Python itself, which reads it when it starts.
    """

    def run(*arguments: str | Path, **environment: str | None) -> subprocess.CompletedProcess[str]:
        if any(name.startswith("PYTHON") for name in environment):
            process = program("-m", "durable", *arguments, **environment)
            out, err = process.communicate(timeout=SECONDS_MAX)
            return subprocess.CompletedProcess(arguments, process.returncode, out, err)
        return run_command([*map(str, arguments)], tmp_path, surroundings(**environment))

    return run


@pytest.fixture
def examples() -> Path:
    """The directory of the examples."""
    return PROJECT / "examples"
