"""An engine and the workers of the soak's graph: `… dsn namespace`; serves until it is killed."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from durable.hotmesh.mesh import HotMesh
from tests.faults.soaking.caller import insist
from tests.faults.soaking.programs import TOPICS, callback


async def serve(dsn: str, namespace: str) -> None:
    """Move jobs until killed."""
    asyncio.get_running_loop().add_reader(0, lambda: os.read(0, 100) or os._exit(1))
    mesh = await insist(
        lambda: HotMesh.init(
            app_id="soak",
            namespace=namespace,
            engine={"connection": dsn},
            workers=[{"topic": topic, "callback": callback} for topic in TOPICS],
        )
    )
    async with mesh:
        print("ready", flush=True)  # noqa: T201 - the driver waits for it
        await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    sys.stdin.readline()
    asyncio.run(serve(*sys.argv[1:3]))
