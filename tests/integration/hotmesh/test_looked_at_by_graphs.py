"""Steps of graphs look at what they are for, by plans made while the tables were small."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from durable.engine.steps.graph_steps import GraphSteps
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin, echo
from tests.integration.hotmesh.test_local_path import MUCH
from tests.integration.looking import Looking
from tests.integration.table_statistics import STATISTICS, Statistics, leave

JOBS = 300
FIRST, OTHERS = 1_000_000, 20_000
ROWS_PER_JOB = 250  # some 200 as counted, of six steps each
HOT = (
    "-- Starts jobs",
    "-- Ends attempts",
    "-- A worker takes",
    "-- What is due",
    "-- The attempt",
)

FILL = f"""
    insert into jobs (run_id, jid, scope, app_id, graph, graph_version, state, status, request_id,
        created_at, finished_at, parent_run_id)
    select n, 'other-' || n, 'app', 'app', 't', '1',
        case when n % 2 = 0 then 'running' else 'completed' end, 1, gen_random_uuid(), now(),
        case when n % 2 = 1 then now() end, case when n % 10 = 0 then n - 2 end
    from generate_series({FIRST + 1}, {FIRST + OTHERS}) n;
    insert into activities (run_id, dad, aid, open, replies, opened_at)
    select n, '', a, true, 0, now()
    from generate_series({FIRST + 2}, {FIRST + OTHERS}, 2) n, unnest(array['a1', 'b1']) a;
    insert into worker_streams (stream_name, workflow_name, jid, run_id, aid, topic, dad, msg_type,
        created_at, visible_at)
    select 'app:work', 't', 'other-' || n, n, 'a1', 'work', '', 'worker', now(), 'infinity'
    from generate_series({FIRST + 2}, {FIRST + OTHERS}, 2) n;
    insert into engine_streams (stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic,
        message, created_at, visible_at)
    select 'app', 't', 'other-' || n, n, 's1', '', 'timehook', 't', '{{}}', now(), 'infinity'
    from generate_series({FIRST + 2}, {FIRST + OTHERS}, 2) n;
"""


@pytest.fixture
def namespace(unmigrated: str) -> str:
    """A new schema: rows of earlier tests would be read as dead ones, and change plans."""
    return unmigrated


@pytest.mark.parametrize("statistics", STATISTICS)
async def test_many_jobs_cost_what_one_costs_many_times(
    begin: Begin, database: Database, monkeypatch: pytest.MonkeyPatch, statistics: Statistics
) -> None:
    """300 jobs at once, among 20,000 others: no statement looks at these, nor at each for each."""
    direct = await asyncpg.connect(database.dsn, server_settings={"search_path": database.schema})
    await leave(direct, statistics)
    looking = Looking(monkeypatch)

    async def nothing(*_: Any) -> bool:
        """Each claim was tried and rolled back before: to an engine, another one died of it."""
        return False

    monkeypatch.setattr(GraphSteps, "_suspects", nothing)
    mesh = await begin(MUCH, work=echo, more=echo)
    await mesh.pubsub("t", {"n": 1}, timeout=100)
    await direct.execute(FILL)
    looking.seen.clear()
    await asyncio.gather(*[mesh.pubsub("t", {"n": n}, timeout=100) for n in range(JOBS)])
    await direct.close()
    for statement in HOT:
        assert any(seen.startswith(statement) for seen in looking.seen), looking.seen
    assert {s: n for s, n in looking.seen.items() if n > ROWS_PER_JOB * JOBS} == {}
