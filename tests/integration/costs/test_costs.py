"""What steps and runs cost Postgres, counted: commits, round trips, rows."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from durable.client.client import Client
from durable.composition import connect
from durable.postgres.address import Address
from durable.postgres.database import Lane
from durable.worker import timers
from durable.worker.worker import Worker
from tests.integration.costs.costing import costing
from tests.integration.programs import add, chain
from tests.waiting import eventually

STEPS = 50


@pytest.mark.usefixtures("no_net")
async def test_a_sequential_local_step_costs_one_commit_and_one_round_trip(
    client: Client, direct: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """50 steps: 50 statements, each its own transaction; and a handful for the run as a whole.

    Connections are open before; of several runs the least counts, as a stall adds polls.
    """
    monkeypatch.setattr(timers, "FLUSH_AFTER", 60.0)  # a step that a stall holds up costs a row
    costs = []
    async with Worker(client, workflows=[chain], activities=[add]):
        await client.execute(chain(STEPS))
        for _ in range(3):
            async with costing(direct, monkeypatch) as cost:
                assert await client.execute(chain(STEPS)) == STEPS
            assert sum("history (run_id" in trip for trip in cost.trips) == STEPS
            costs.append((cost.transactions, len(cost.trips)))
    transactions, trips = (min(counted) for counted in zip(*costs, strict=True))
    assert STEPS < transactions <= STEPS + 3
    assert STEPS < trips <= STEPS + 4


async def test_a_lane_opens_in_one_round_trip(
    client: Client, monkeypatch: pytest.MonkeyPatch, direct: asyncpg.Connection
) -> None:
    """Its session and what lanes need besides are set by one message."""
    lane = Lane(Address(client.dsn))
    async with costing(direct, monkeypatch) as cost:
        await lane.fetch("select 1")
    assert len(cost.trips) == 2
    rows = await lane.fetch(
        "select current_setting('plan_cache_mode'), current_setting('search_path')"
    )
    assert tuple(rows[0]) == ("force_generic_plan", "pg_catalog, pg_temp")
    await lane.close()


async def test_a_run_of_one_activity_takes_four_transactions(
    client: Client, direct: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start to result, client and worker apart: start, claim, step, end."""
    async with (
        await connect(client.dsn, namespace=client.namespace) as other,
        Worker(other, workflows=[chain], activities=[add]),
    ):
        await client.execute(chain(1))
        costs = []
        for _ in range(5):
            async with costing(direct, monkeypatch) as cost:
                handle = await client.start(chain(1))
                assert await handle.result(timeout=60) == 1
            costs.append((cost.transactions, len(cost.trips)))
    assert sorted(costs)[2][0] <= 4
    assert sorted(costs)[2][1] <= 6


async def test_a_step_writes_two_rows(
    client: Client, direct: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row of history, one HOT update of the job; the streams only every hundred steps."""
    monkeypatch.setattr(timers, "FLUSH_AFTER", 60.0)  # a step that a stall holds up costs a row
    steps = 200
    async with Worker(client, workflows=[chain], activities=[add]):
        await client.execute(chain(steps))

    async def written() -> dict[str, tuple[int, int]]:
        rows = {
            r["relname"]: (r["n"], r["cold"])
            for r in await direct.fetch(
                """select relname, n_tup_ins + n_tup_upd + n_tup_del as n,
                n_tup_upd - n_tup_hot_upd as cold
                from pg_stat_user_tables where schemaname = current_schema()"""
            )
        }
        complete = rows["history"][0] >= steps + 2 and rows["jobs"][0] >= steps
        return rows if complete else {}

    rows = await eventually(written)
    assert rows["history"] == (steps + 2, 0)
    assert rows["jobs"][0] <= steps + 3
    assert rows["jobs"][1] <= 2
    assert rows["worker_streams"][0] <= 3 * (1 + steps // 100)
    assert rows["engine_streams"][0] == 0


async def test_many_runs_share_their_commits(
    client: Client, direct: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 runs of 5 steps at once: far fewer transactions than steps."""
    async with Worker(client, workflows=[chain], activities=[add]):
        await client.execute(chain(1))
        async with costing(direct, monkeypatch) as cost:
            results = await asyncio.gather(*[client.execute(chain(5)) for _ in range(200)])
    assert results == [5] * 200
    assert cost.transactions < 150
