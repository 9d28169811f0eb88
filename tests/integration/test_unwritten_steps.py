"""Steps that take no time leave no row, however much their worker's loop has to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import asyncpg

import durable
from durable.composition import connect
from durable.postgres.database import Database
from durable.worker.worker import Worker

RUNS = 150


@durable.activity
async def quick() -> int:
    """Takes no time."""
    return 1


@durable.activity
async def slow(seconds: float) -> int:
    """Waits for something."""
    await asyncio.sleep(seconds)
    return 1


def _compute() -> None:
    end = time.thread_time() + 0.002
    while time.thread_time() < end:
        pass


@durable.workflow
async def busy() -> int:
    """Many of these hold the loop for far longer than a step may go without a row."""
    _compute()
    return await quick() + await quick()


@durable.workflow
async def waits() -> int:
    """One step that lasts."""
    return await slow(0.3)


async def _written(database: Database, call: Callable[[], durable.Call[int]], runs: int) -> int:
    """How many rows of attempts so many runs, begun at once, bring about."""
    direct = await asyncpg.connect(database.dsn, server_settings={"search_path": database.schema})
    await direct.execute(
        "create sequence counted;"
        " create function count_attempt() returns trigger language plpgsql"
        " set search_path from current as"
        " $$ begin perform nextval('counted'); return new; end $$;"
        " create trigger counting after insert on worker_streams for each row"
        " when (new.msg_type <> 'turn') execute function count_attempt()"
    )
    async with (
        await connect(database.dsn, namespace=database.schema) as client,
        Worker(client, workflows=[busy, waits], activities=[quick, slow]),
    ):
        handles = await asyncio.gather(*[client.start(call()) for _ in range(runs)])
        for handle in handles:
            await handle.result(timeout=60)
    written: int = await direct.fetchval(
        "select case when is_called then last_value else 0 end from counted"
    )
    await direct.close()
    return written


async def test_a_busy_loop_is_no_reason_to_write_down_what_took_no_time(
    database: Database,
) -> None:
    """Quick steps of many runs write no rows, though the loop is behind by more than 50 ms.

    Some may, where the machine stalls the loop between two of its turns: there are two steps a run.
    """
    assert await _written(database, busy, RUNS) <= RUNS // 2


async def test_a_step_that_lasts_is_written_down_while_it_runs(database: Database) -> None:
    """A step that waits for something has its row, for people to see."""
    assert await _written(database, waits, 1) == 1
