"""A worker of the soak's functions: `… dsn namespace`; ends as its `run` does."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import durable
from tests.faults.programs import ACTIVITIES
from tests.faults.soaking.caller import insist
from tests.faults.soaking.programs import WORKFLOWS


async def serve(dsn: str, namespace: str) -> None:
    """Serve until killed, or until the worker ends by itself."""
    asyncio.get_running_loop().add_reader(0, lambda: os.read(0, 100) or os._exit(1))
    client = await insist(lambda: durable.connect(dsn, namespace=namespace, migrate=True))
    worker = durable.Worker(client, workflows=WORKFLOWS, activities=ACTIVITIES)
    running = asyncio.create_task(worker.run())
    print("ready", flush=True)  # noqa: T201 - the driver waits for it
    await running


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    sys.stdin.readline()
    asyncio.run(serve(*sys.argv[1:3]))
