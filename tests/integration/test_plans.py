"""Query plans: no hot statement reads a whole table, or a whole index."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from durable.postgres.connections import open_connection
from durable.postgres.database import Database
from tests.integration.looking import literal, nodes
from tests.integration.table_statistics import STATISTICS, TABLES, Statistics, leave
from tests.sql_files import load

STATEMENTS = {
    ("durable.store", "sql/runs.sql"): (
        "claim look survived held release release_run gone arrive lock_wakes arrived inboxes"
        " suspend deliver_again"
    ),
    ("durable.store", "sql/activities.sql"): ("claim flush settle overdue retry unclaim wanted"),
    ("durable.engine.steps", "sql/commits.sql"): (
        "commit_step commit_end commit_batch settled outcomes"
    ),
    ("durable.engine.steps", "sql/graph_commits.sql"): "begin begun advance",
    ("durable.store", "sql/jobs.sql"): (
        "start_runs latest outcomes await_end describe state terminate"
    ),
    ("durable.store", "sql/function_jobs.sql"): "find ended",
    ("durable.store", "sql/graph_jobs.sql"): (
        "start requested lock lock_one find latest read save instances history save_instances"
        " open_children emitted"
    ),
    ("durable.store", "sql/graph_messages.sql"): (
        "claim suspect release claim_these next_due consume dead_letter requested address disarm"
        " withdraw take flush answer give_up try_again give_back look_for_work add"
    ),
    ("durable.store", "sql/graph_topics.sql"): "take",
    ("durable.store", "sql/hooks.sql"): "keys_of remove find find_of_run",
    ("durable.store", "sql/interop.sql"): (
        "lock_wakes waiting is_asked await_jobs answer forget holders cancel_awaited"
    ),
    ("durable.store", "sql/states.sql"): "write markers of_id",
    ("durable.store", "sql/members.sql"): "blame reap",
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


async def _plan(connection: asyncpg.Connection, statement: str) -> dict[str, Any]:
    """The plan for any parameters, as a prepared statement gets it after its first few uses."""
    count = max(map(int, re.findall(r"\$(\d+)", statement)), default=0)
    await connection.execute("set plan_cache_mode = force_generic_plan")
    await connection.execute(f"prepare looked as {statement}")
    try:
        nulls = ", ".join(["null"] * count)
        plan = await connection.fetchval(
            f"explain (format json) execute looked{f'({nulls})' if count else ''}"
        )
    finally:
        await connection.execute("deallocate looked")
    found: dict[str, Any] = json.loads(plan)[0]["Plan"]
    return found


def _scans(plan: dict[str, Any]) -> list[str]:
    """Of whole tables."""
    return [
        node["Relation Name"]
        for node in nodes(plan)
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in BIG
    ]


def _whole(plan: dict[str, Any]) -> list[str]:
    """What is read from its beginning to its end: tables, and indexes that look nothing up."""
    return [
        f"{node['Node Type']} {node.get('Index Name', node.get('Relation Name'))}"
        for node in nodes(plan)
        if (node["Node Type"] == "Seq Scan" and node["Relation Name"] in TABLES)
        or (
            node["Node Type"] in ("Index Scan", "Index Only Scan", "Bitmap Index Scan")
            and node["Index Name"].startswith(TABLES)
            and "Index Cond" not in node
        )
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


@pytest.mark.parametrize("statistics", STATISTICS)
async def test_what_was_planned_for_few_rows_is_fit_for_many(
    database: Database, statistics: Statistics
) -> None:
    """Whatever Postgres believes of tables that are small, it looks rows up by their keys.

    Of few rows a planner may as well read them all, once for each that it compares them to; and
    keeps to that while they become many.
    """
    connection = await open_connection(database.address, "test", also="lane")
    await connection.execute(f'set search_path = "{database.schema}"')
    await leave(connection, statistics)
    found = {}
    for filling in ("select", FILL):  # planned before, and meanwhile, by what a page held before
        await connection.execute(filling)
        for name, statement in _statements(database.schema):
            if whole := _whole(await _plan(connection, statement)):
                found[name, filling == FILL] = whole
    await connection.close()
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
