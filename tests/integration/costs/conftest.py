"""A Postgres of its own for what is counted of a whole server: nothing else writes to its log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from durable.postgres.embedded.launcher import release
from tests.servers import started

QUIET = ("autovacuum = off", "full_page_writes = off")
"""Vacuums of other tests' tables and pages written whole after a checkpoint are no run's cost."""


async def _quieten(dsn: str) -> None:
    direct = await asyncpg.connect(dsn)
    for setting in QUIET:
        await direct.execute(f"alter system set {setting}")
    await direct.execute("select pg_reload_conf()")
    await direct.close()


@pytest.fixture(scope="session")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server where only the test at hand does anything."""
    home: Path = tmp_path_factory.mktemp("quiet") / ".durable"
    embedded = asyncio.run(started(home))
    asyncio.run(_quieten(embedded.dsn))
    yield embedded.dsn
    release(embedded)


@pytest.fixture
def namespace(unmigrated: str) -> str:
    """A new schema: what earlier rows leave behind in tables and indexes is a cost, too."""
    return unmigrated
