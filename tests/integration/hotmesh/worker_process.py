"""A worker of its own process, which dies (or not) after its callback and before its answer.

python worker_process.py <dsn> <schema> <topic> <die>
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import asyncpg

from durable.hotmesh.mesh import HotMesh


async def main(dsn: str, schema: str, topic: str, die: str) -> None:
    """Serve the topic until told otherwise."""

    async def callback(message: dict[str, Any]) -> dict[str, Any]:
        connection = await asyncpg.connect(dsn)
        await connection.execute(
            f'insert into "{schema}".calls values ($1, $2)', topic, message["metadata"]["jid"]
        )
        await connection.close()
        if die == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return {"data": {"v": topic}}

    mesh = await HotMesh.init(
        app_id="app",
        namespace=schema,
        workers=[
            {
                "topic": topic,
                "callback": callback,
                "connection": dsn,
                "retry": {"maximumAttempts": 3},
            }
        ],
    )
    print("ready", flush=True)  # noqa: T201 - how the test knows
    await asyncio.Event().wait()
    await mesh.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
