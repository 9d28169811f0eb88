"""Hot statements look at what they are for, by plans that were made while the tables were small.

Postgres keeps such a plan until the tables are analysed, which may be a minute and many rows later.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from durable.engine.steps.workflow_commits import CommitStatements
from durable.postgres.connections import open_connection
from durable.postgres.database import Database
from durable.protocol.commands import Finish
from durable.protocol.commits import ChildStart, Commit, Intent
from durable.protocol.facts import Fact, FactKind
from durable.protocol.ids import new_request
from durable.protocol.options import ActivityOptions
from durable.protocol.retry import RetryPolicy
from durable.store.activities import Settlement, metadata_of
from durable.store.jobs import Start
from durable.store.runs import Message
from tests.integration.looking import looked_at
from tests.integration.table_statistics import STATISTICS, leave
from tests.sql_files import load

ME = 1_000_001
RUNS = 300
FIRST, OTHERS = 1_000_000, 40_000
ROWS_PER_RUN = 60  # 58 at most as counted
HELD_TWICE = 24_000  # a look at all goes through the 10,300 that ME holds, counts them, probes 518
NOTHING_NEW = 40  # any other look, while nothing arrives

FILL = f"""
    insert into jobs (run_id, jid, app_id, graph, state, request_id, created_at, finished_at,
        parent_run_id)
    select n, 'other-' || n, 'q', 'flow', case when n % 2 = 0 then 'running' else 'completed' end,
        gen_random_uuid(), now(), case when n % 2 = 1 then now() end,
        case when n % 10 = 0 then n - 2 end
    from generate_series({FIRST + 1}, {FIRST + OTHERS}) n;
    insert into history (run_id, revision, kind, number, at, name)
    select n, 1, 'started', 0, now(), 'flow' from generate_series({FIRST + 1}, {FIRST + OTHERS}) n;
    insert into worker_streams (id, stream_name, workflow_name, jid, run_id, msg_type, created_at,
        visible_at, reserved_by)
    select n, 'q', 'flow', 'other-' || n, n, 'turn', now(), 'infinity',
        case when n % 4 = 0 then {ME} end
    from generate_series({FIRST + 2}, {FIRST + OTHERS}, 2) n;
    insert into worker_streams (stream_name, workflow_name, jid, run_id, aid, topic, dad, msg_type,
        created_at, visible_at)
    select 'q', 'flow', 'other-' || n, n, 'step', 'step', '1', 'activity', now(), 'infinity'
    from generate_series({FIRST + 2}, {FIRST + OTHERS}, 2) n;
    insert into engine_streams (stream_name, workflow_name, jid, run_id, msg_type, topic, message,
        created_at, visible_at)
    select 'q', 'flow', 'other-' || n, n, 'signal', 'go', '1', now(), now()
    from generate_series({FIRST + 2}, {FIRST + OTHERS}, 2) n;
"""
STATEMENTS = {
    "start_runs": ("durable.store", "sql/jobs.sql"),
    "outcomes": ("durable.store", "sql/jobs.sql"),
    "claim": ("durable.store", "sql/runs.sql"),
    "arrive": ("durable.store", "sql/runs.sql"),
    "inboxes": ("durable.store", "sql/runs.sql"),
    "look": ("durable.store", "sql/runs.sql"),
    "settle": ("durable.store", "sql/activities.sql"),
    "commit_batch": ("durable.engine.steps", "sql/commits.sql"),
}


def _starts(count: int) -> dict[str, Any]:
    return {
        "starts": [
            Start(new_request(), f"r-{n}", "q", "flow", "{}", 0, "allow", None)
            for n in range(count)
        ]
    }


def _messages(runs: list[int]) -> dict[str, Any]:
    return {"messages": [Message(run_id, "signal", "go", message="1") for run_id in runs]}


def _claim() -> dict[str, Any]:
    return {"member": ME, "queue": "q", "workflows": ["flow"], "limit": 500, "waiting": 0.0}


def _look(after: int | None) -> dict[str, Any]:
    of_queue = {"queue": "q", "workflows": ["flow"], "activities": ["step"]}
    return {"member": ME, "after": after, **of_queue}


async def _looked_at(connection: asyncpg.Connection, name: str, **values: Any) -> int:
    """As `looked_at`, by the names of the statement's parameters."""
    _, *given = load(*STATEMENTS[name], "durable").bind(name, **values)
    return await looked_at(connection, name, *given)


def _batch(runs: list[int], revision: int, **more: Any) -> list[Any]:
    """One fact of each run; `more` gives for each what else its commit says."""
    commits = [
        Commit(
            run_id, revision, (Fact(FactKind.ACTIVITY, 1.7e9, 1, "step", "1", None, "{}"),), hold=1,
            issued=0, status=1, **{name: of(n) for name, of in more.items()},
        )
        for n, run_id in enumerate(runs)
    ]  # fmt: skip
    return list(CommitStatements("durable", metadata_of).batch(ME, 1, commits)[1:])


@pytest.fixture
def namespace(unmigrated: str) -> str:
    """A new schema: rows of earlier tests would be read as dead ones, and change plans."""
    return unmigrated


@pytest_asyncio.fixture(params=STATISTICS)
async def connection(
    database: Database, request: pytest.FixtureRequest
) -> AsyncIterator[asyncpg.Connection]:
    """Every hot statement is planned, on tables that are nearly empty; then come others."""
    opened = await open_connection(database.address, "test", also="lane")
    await opened.execute(f'set search_path = "{database.schema}"; set statement_timeout = 0')
    await leave(opened, request.param)
    for name, (package, file) in STATEMENTS.items():
        await opened.execute(f"prepare {name} as {load(package, file, database.schema)[name]}")
    await _looked_at(opened, "start_runs", **_starts(0))
    await _looked_at(opened, "claim", **_claim())
    await _looked_at(opened, "look", **_look(None))
    await _looked_at(opened, "arrive", **_messages([]))
    await _looked_at(opened, "inboxes", run_ids=[])
    await looked_at(opened, "commit_batch", *_batch([], 0))
    await _looked_at(opened, "settle", member=ME, settlements=[])
    await _looked_at(opened, "outcomes", run_ids=[])
    await opened.execute(FILL)
    yield opened
    await opened.close()


async def test_many_runs_cost_what_one_costs_many_times(connection: asyncpg.Connection) -> None:
    """300 at once, among 40,000 others: these are not looked at, nor is each compared to each."""

    async def ids(table: str, kind: str) -> list[int]:
        rows = await connection.fetch(
            f"select id from {table} where msg_type = '{kind}' and run_id between 0 and {FIRST}"
            " order by run_id"
        )
        assert len(rows) == RUNS
        return [row["id"] for row in rows]

    options = ActivityOptions(retry=RetryPolicy())

    def intent(*, held: bool) -> Any:
        return lambda _: (Intent(1, "step", "q", "{}", options, held=held),)

    found = {"start": await _looked_at(connection, "start_runs", **_starts(RUNS))}
    runs = await ids("worker_streams", "turn")
    found["claim"] = await _looked_at(connection, "claim", **_claim())
    assert await _looked_at(connection, "look", **_look(None)) <= HELD_TWICE
    last = await connection.fetchval("select last_value from ids")
    found["arrive"] = await _looked_at(connection, "arrive", **_messages(runs))
    await connection.execute(
        f"update engine_streams set created_at = now() - interval '1 s' where run_id < {FIRST}"
    )
    found["look at what has arrived"] = await _looked_at(connection, "look", **_look(last))
    last = await connection.fetchval("select last_value from ids")
    assert await _looked_at(connection, "look", **_look(last)) <= NOTHING_NEW
    found["inboxes"] = await _looked_at(connection, "inboxes", run_ids=runs)

    async def commit(**more: Any) -> int:
        revision = sum(name.startswith("commit") for name in found)
        return await looked_at(connection, "commit_batch", *_batch(runs, revision, **more))

    inbox = await ids("engine_streams", "signal")
    found["commit what has arrived"] = await commit(
        inbox=lambda n: (inbox[n],), intents=intent(held=True), pending=lambda _: "[]"
    )
    attempts = await ids("worker_streams", "activity")
    found["commit results"] = await commit(
        settled=lambda n: (attempts[n],), intents=intent(held=True),
        children=lambda n: (ChildStart(2, "flow", f"child-{n}", "q", "{}", 0),),
    )  # fmt: skip
    attempts = await ids("worker_streams", "activity")
    settlements = [Settlement(attempt, "1", None) for attempt in attempts]
    found["settle"] = await _looked_at(connection, "settle", member=ME, settlements=settlements)
    found["commit a cancelled step"] = await commit(cancelled=lambda _: (1,))
    found["commit a step"] = await commit()
    found["commit the end"] = await commit(finish=lambda _: Finish("completed", "1"))
    found["outcomes"] = await _looked_at(connection, "outcomes", run_ids=runs)
    ended = (
        "select count(*) from jobs where jid like 'r-%' and state = 'completed' and revision = 5"
    )
    assert await connection.fetchval(ended) == RUNS
    assert {name for name, rows in found.items() if rows > ROWS_PER_RUN * RUNS} == set()
