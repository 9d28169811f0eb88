"""A process that takes part in virtual functions, and may die in a tick.

python virtual_process.py <dsn> <schema> <number of the tick in which it dies>
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import asyncpg

from durable.hotmesh.virtual.virtual import Virtual


async def main(dsn: str, schema: str, last: str) -> None:
    """Serve the topic "work" until told otherwise."""

    async def work() -> None:
        tick = Virtual.get_context().tick
        assert tick is not None
        connection = await asyncpg.connect(dsn)
        await connection.execute(
            f'insert into "{schema}".ticks values ($1, $2, $3)',
            tick.number, tick.scheduled_at, os.getpid(),
        )  # fmt: skip
        await connection.close()
        if tick.number == int(last):
            os.kill(os.getpid(), signal.SIGKILL)

    virtual = await Virtual.init(connection=dsn, namespace=schema)
    await virtual.connect(topic="work", callback=work)
    print("ready", flush=True)  # noqa: T201 - how the test knows
    await asyncio.Event().wait()
    await virtual.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
