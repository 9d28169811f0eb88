"""What has ended costs what runs nothing: hot statements read live rows only."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from durable.postgres.database import Database
from tests.sql_files import load

FINISHED = 200_000  # `benchmarks/retention.py` does the same with a million
LIVE = 200
PAGES = 150  # the claim of ten runs touches about 125, whatever has ended; a scan, thousands
# Of `id = any(…)` Postgres looks each id up from the root of the index; from 17 on neighbours
# together. Ten runs are looked up two times in an index of three levels.
PAGES_BEFORE_17 = PAGES + 2 * 9 * 3

FILL = f"""
    insert into jobs (run_id, jid, app_id, graph, state, status, revision, request_id, created_at,
        finished_at)
    select n, 'run-' || n, 'q', 'flow', case when n % 10 = 0 then 'failed' else 'completed' end, 0,
        2, gen_random_uuid(), now() - interval '1 hour', now() - interval '1 hour'
    from generate_series(1, {FINISHED}) n;
    insert into history (run_id, revision, kind, number, at, name)
    select n, 1, 'started', 0, now(), 'flow' from generate_series(1, {FINISHED}) n;
    insert into jobs (run_id, jid, app_id, graph, revision, created_at)
    select {FINISHED} + n, 'live-' || n, 'q', 'flow', 1, now() from generate_series(1, {LIVE}) n;
    insert into worker_streams (id, stream_name, workflow_name, jid, run_id, msg_type, created_at,
        visible_at, reserved_by)
    select {FINISHED} + n, 'q', 'flow', 'live-' || n, {FINISHED} + n, 'turn', now(), now(),
        case when n <= 10 then 7 end
    from generate_series(1, {LIVE}) n;
    analyze;
"""
HELD = FINISHED + 1
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALL = {"older_than": None, "keep": [], "app_id": None}
STATEMENTS: dict[tuple[str, str], dict[str, dict[str, Any]]] = {
    ("durable.store", "sql/runs.sql"): {
        "claim": {"member": 9, "queue": "q", "workflows": ["flow"], "limit": 10, "waiting": 0.0},
        "inboxes": {"run_ids": [HELD]},
        "held": {"member": 7},
    },
    ("durable.store", "sql/activities.sql"): {
        "claim": {"member": 9, "queue": "q", "names": ["step"], "limit": 10, "waiting": 0.0}
    },
    ("durable.engine.steps", "sql/commits.sql"): {
        "commit_step": {
            "member": 7,
            "run_id": HELD,
            "expected": 1,
            "hold": 0,
            "issued": 1,
            "token": 5,
            "status": 1,
            "kind": "activity",
            "number": 1,
            "at": NOW,
            "name": "step",
            "data": "1",
            "failure": None,
            "input": None,
        },
        "outcomes": {"run_ids": [HELD], "member": 7},
    },
    ("durable.store", "sql/jobs.sql"): {
        "latest": {"jid": f"run-{FINISHED // 2}"},
        "outcomes": {"run_ids": [FINISHED // 2, HELD]},
        "describe": {"run_id": HELD},
        "terminate": {"run_id": HELD + 1, "error": "{}", "throws": True, "descend": True},
    },
    ("durable.store", "sql/graph_jobs.sql"): {"open_children": {"run_ids": [HELD]}},
    ("durable.store", "sql/members.sql"): {"sweep": {"lock_class": 1, "member": 2}, "tidy": {}},
    ("durable.store", "sql/retention.sql"): {
        "count": {**ALL, "limit": 1, "streams": True},
        "runs": {**ALL, "limit": 500, "facts": 20_000},
        "jobs": {**ALL, "limit": 500},
        "messages": {**ALL, "limit": 500},
        "signals": {**ALL, "limit": 500},
    },
}


@pytest.fixture
def namespace(unmigrated: str) -> str:
    """A new schema: rows of earlier tests would be read as dead ones, and change plans."""
    return unmigrated


@pytest_asyncio.fixture
async def filled(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """Many runs that have ended, and a few that have not."""
    connection = await asyncpg.connect(
        database.dsn, server_settings={"search_path": database.schema, "jit": "off"}
    )
    await connection.execute(FILL)
    yield connection
    await connection.close()


async def _pages(connection: asyncpg.Connection, statement: str, *args: Any) -> int:
    """What a statement touches when it really runs, catalogues left out by running it twice."""
    plan: dict[str, Any] = {}
    for _ in range(2):
        transaction = connection.transaction()
        await transaction.start()
        row = await connection.fetchval(
            f"explain (analyze, buffers, format json) {statement}", *args
        )
        await transaction.rollback()
        plan = json.loads(row)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_hot_statements_read_live_rows_only(
    filled: asyncpg.Connection, database: Database
) -> None:
    """Claims, commits, looks, starts, prunings with nothing to prune: a few pages each."""
    found = {}
    for (package, file), blocks in STATEMENTS.items():
        statements = load(package, file, database.schema)
        for name, args in blocks.items():
            found[f"{file}: {name}"] = await _pages(filled, *statements.bind(name, **args))
    most = PAGES if filled.get_server_version().major >= 17 else PAGES_BEFORE_17
    assert {name: pages for name, pages in found.items() if pages > most} == {}


async def test_pruning_reads_what_it_prunes(filled: asyncpg.Connection, database: Database) -> None:
    """A batch of 500 reads some 500 rows, although 20,000 older ones are kept for ever."""
    await filled.execute("insert into retention values ('', 60, null, now())")
    statements = load("durable.store", "sql/retention.sql", database.schema)
    runs = statements.bind("runs", **ALL, limit=500, facts=20_000)
    assert await _pages(filled, *runs) < 1500
