"""A batch costs each of its runs the same, however many they are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from durable.engine.steps.workflow_commits import batch_arguments
from durable.postgres.pool import LANE, SETTINGS, Database
from durable.postgres.sql import Statements
from durable.protocol.commands import Finish
from durable.protocol.commits import Commit
from durable.protocol.facts import Fact, FactKind
from durable.protocol.ids import new_request
from durable.store.jobs import JobStore, Start
from durable.streams.activities import metadata_of
from durable.streams.runs import RunStream

ME = 1_000_001
RUNS = 300
ROWS_PER_RUN = 60  # 31 as counted; were each compared with each, more than 300


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        value = value.isoformat()
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _literal(value: Any) -> str:
    """A parameter as it is written in SQL: EXPLAIN of a prepared statement takes no other."""
    if isinstance(value, list):
        value = "{" + ",".join(map(_element, value)) + "}"
    return "null" if value is None else "'" + str(value).replace("'", "''") + "'"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _rows(plan: dict[str, Any]) -> int:
    """How many rows all nodes of a plan have looked at."""
    return sum(
        int(node["Actual Loops"])
        * sum(
            int(rows)
            for key, rows in node.items()
            if key == "Actual Rows" or key.startswith("Rows Removed by")
        )
        for node in _nodes(plan)
    )


async def _held(database: Database, count: int) -> list[int]:
    starts = [
        Start(new_request(), f"r-{n}", "q", "flow", "{}", 0, "allow", None) for n in range(count)
    ]
    await JobStore(database).start(starts)
    return [c.run_id for c in await RunStream(database).claim(ME, "q", ["flow"], count)]


async def _explained(connection: asyncpg.Connection, arguments: Sequence[Any]) -> dict[str, Any]:
    given = ", ".join(map(_literal, arguments))
    found = await connection.fetchval(f"explain (analyze, format json) execute batch({given})")
    plan: dict[str, Any] = json.loads(found)[0]["Plan"]
    return plan


@pytest_asyncio.fixture
async def connection(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection that plans as a lane does."""
    settings = {**SETTINGS, **LANE, "search_path": database.schema}
    opened = await asyncpg.connect(database.dsn, server_settings=settings)
    yield opened
    await opened.close()


@pytest.mark.parametrize("finish", [None, Finish("completed", "1")], ids=["steps", "ends"])
async def test_a_batch_compares_no_run_with_every_other(
    database: Database, connection: asyncpg.Connection, finish: Finish | None
) -> None:
    """300 runs in one commit, by a plan that was made when the tables were empty."""
    statement = Statements("durable.engine.steps", "sql/commits.sql", database.schema)
    await connection.execute(f"prepare batch as {statement['commit_batch']}")
    await _explained(connection, batch_arguments(ME, 1, [], metadata_of))
    commits = [
        Commit(
            run_id, 0, (Fact(FactKind.ACTIVITY, 1.7e9, 1, "step", "1", None, "{}"),), hold=1,
            issued=0, status=1, finish=finish,
        )
        for run_id in await _held(database, RUNS)
    ]  # fmt: skip
    plan = await _explained(connection, batch_arguments(ME, 1, commits, metadata_of))
    assert await connection.fetchval("select count(*) from history") == RUNS
    assert _rows(plan) < ROWS_PER_RUN * RUNS
