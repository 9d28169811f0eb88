"""A history that is longer than any page."""

from __future__ import annotations

import asyncpg

import durable
from durable.client.client import Client
from durable.worker.worker import Worker
from tests.waiting import eventually

FACTS = 60_000

number = durable.Signal("number", int)


@durable.workflow
async def total(count: int) -> list[int]:
    """How many numbers it was told, and their sum."""
    found = [await number.receive() for _ in range(count)]
    return [len(found), sum(found)]


async def test_no_fact_of_a_long_history_is_left_out(client: Client, dsn: str) -> None:
    """C20: 60,000 facts are folded by a worker that has never seen the run, each of them."""
    handle = await client.start(total(FACTS + 2))
    async with Worker(client, workflows=[total]):
        await handle.signal(number, 1)

        async def begun() -> bool:
            return len(await handle.history()) == 2

        await eventually(begun)
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute(
                f'insert into "{client.namespace}".history'
                " (run_id, revision, kind, number, at, name, data)"
                " select h.run_id, h.revision + n, h.kind, 0, h.at, h.name, h.data"
                f' from "{client.namespace}".history h, generate_series(1, {FACTS}) n'
                " where h.kind = 'signal'"
            )
            await connection.execute(
                f'update "{client.namespace}".jobs set revision = revision + {FACTS}'
            )
    finally:
        await connection.close()
    async with Worker(client, workflows=[total]):
        await handle.signal(number, 5)
        assert await handle.result(timeout=60) == [FACTS + 2, FACTS + 6]
