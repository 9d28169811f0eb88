"""Query plans: at 50,000 rows no hot statement reads a whole table."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
import pytest_asyncio

from durable.postgres.database import Database
from tests.integration.looking import literal
from tests.sql_files import load

STATEMENTS = {
    ("durable.store", "sql/runs.sql"): (
        "claim look survived held release arrive lock_wakes arrived inboxes suspend resume"
    ),
    ("durable.store", "sql/activities.sql"): "claim flush settle overdue retry wanted",
    ("durable.engine.steps", "sql/commits.sql"): "commit_step commit_end commit_batch outcomes",
    ("durable.engine.steps", "sql/graph_commits.sql"): "begin begun advance",
    ("durable.store", "sql/jobs.sql"): (
        "start_runs latest outcomes await_end describe open_activities state terminate"
    ),
    ("durable.store", "sql/histories.sql"): "facts",
}
BIG = ("jobs", "history", "worker_streams", "engine_streams")

FILL = """
    insert into jobs (run_id, jid, app_id, graph, state, status, request_id, created_at,
        finished_at, parent_run_id)
    select n, 'run-' || n, 'q', 'flow', case when n % 2 = 0 then 'running' else 'completed' end, 1,
        gen_random_uuid(), now(), case when n % 2 = 1 then now() end,
        case when n % 10 = 0 then n - 2 end
    from generate_series(1, 50000) n;
    insert into history (run_id, revision, kind, number, at, name)
    select n, r, 'activity', r, now(), 'step'
    from generate_series(1, 12500) n, generate_series(1, 4) r;
    insert into worker_streams (id, stream_name, workflow_name, jid, run_id, msg_type, created_at,
        visible_at, reserved_by)
    select n, 'q', 'flow', 'run-' || n, n, 'turn', now(),
        case when n % 100 = 0 then now() else 'infinity' end,
        case when n % 100 = 2 then 7 end
    from generate_series(2, 50000, 2) n;
    insert into worker_streams (id, stream_name, workflow_name, jid, run_id, aid, topic, dad,
        msg_type, created_at, visible_at, reserved_by)
    select 100000 + n, 'q', 'flow', 'run-' || n, n, 'step', 'step', '1', 'activity', now(),
        case when n % 100 = 0 then now() else now() + interval '1 day' end,
        case when n % 100 = 2 then 7 end
    from generate_series(2, 50000, 2) n;
    insert into engine_streams (stream_name, workflow_name, run_id, msg_type, topic, created_at,
        visible_at, request_id)
    select 'q', 'flow', n, 'signal', 'go', now(), now(), gen_random_uuid()
    from generate_series(1, 50000) n;
"""


@pytest.fixture
def namespace(unmigrated: str) -> str:
    """A new schema: rows of earlier tests would be read as dead ones, and change plans."""
    return unmigrated


@pytest_asyncio.fixture
async def filled(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """Tables with 50,000 rows each."""
    connection = await asyncpg.connect(
        database.dsn, server_settings={"search_path": database.schema, "jit": "off"}
    )
    await connection.execute(FILL)
    yield connection
    await connection.close()


def _statements(schema: str) -> Iterator[tuple[str, str]]:
    for (package, file), names in STATEMENTS.items():
        found = load(package, file, schema)
        for name in names.split():
            yield f"{file}: {name}", found[name]


async def _plan(connection: asyncpg.Connection, statement: str) -> str:
    """The plan for any parameters, as a prepared statement gets it after its first few uses."""
    count = max(map(int, re.findall(r"\$(\d+)", statement)), default=0)
    await connection.execute("set plan_cache_mode = force_generic_plan")
    await connection.execute(f"prepare looked as {statement}")
    try:
        nulls = ", ".join(["null"] * count)
        rows = await connection.fetch(f"explain execute looked{f'({nulls})' if count else ''}")
    finally:
        await connection.execute("deallocate looked")
    return "\n".join(row[0] for row in rows)


def _scans(plan: str) -> list[str]:
    return [
        line.strip()
        for line in plan.splitlines()
        if re.search(rf"Seq Scan on ({'|'.join(BIG)})\b", line)
    ]


async def test_no_hot_statement_scans_a_table(
    filled: asyncpg.Connection, database: Database
) -> None:
    """Claims, looks, arrivals, commits, what clients ask: by index, with statistics and without."""
    found = {}
    for analysed in (False, True):
        if analysed:
            await filled.execute("analyze jobs, history, worker_streams, engine_streams")
        for name, statement in _statements(database.schema):
            if scans := _scans(await _plan(filled, statement)):
                found[name, analysed] = scans
    assert found == {}


async def test_a_claim_reads_what_is_due_and_not_what_waits(
    filled: asyncpg.Connection, database: Database
) -> None:
    """250 runs are due among 25,000 that wait: the claim of 10 touches a few pages."""
    await filled.execute("analyze worker_streams; set plan_cache_mode = force_generic_plan")
    claim, *given = load("durable.store", "sql/runs.sql", database.schema).bind(
        "claim", member=9, queue="q", workflows=["flow"], limit=10, waiting=0
    )
    await filled.execute(f"prepare claim as {claim}")
    rows = await filled.fetch(
        f"explain (analyze, buffers, costs off) execute claim({', '.join(map(literal, given))})"
    )
    plan = "\n".join(row[0] for row in rows)
    buffers = re.search(r"Buffers: shared hit=(\d+)", plan)
    assert buffers is not None
    assert int(buffers[1]) < 500, plan
