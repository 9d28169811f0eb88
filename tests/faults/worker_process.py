"""A worker as a process of its own: `python -m tests.faults.worker_process dsn namespace [x=n …]`.

Waits for a line on its standard input; prints "ready" when it serves, and "stopped" after a
graceful stop (SIGTERM).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import Any

from durable.composition import connect
from durable.worker.worker import Worker
from tests.faults import programs


async def serve(dsn: str, namespace: str, **options: Any) -> None:
    """Serve until SIGTERM."""
    asyncio.get_running_loop().add_reader(0, _orphaned)
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    client = await connect(dsn, namespace=namespace, migrate=True)
    worker = Worker(client, workflows=programs.WORKFLOWS, activities=programs.ACTIVITIES, **options)
    async with client, worker:
        print("ready", flush=True)  # noqa: T201 - the driver waits for it
        await ending.wait()
    print("stopped", flush=True)  # noqa: T201


def _orphaned() -> None:
    """Our standard input has ended: so has the test, whose databases are going away."""
    if not os.read(0, 100):
        os._exit(1)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    given = dict(word.split("=", 1) for word in sys.argv[3:])
    sys.stdin.readline()
    asyncio.run(serve(sys.argv[1], sys.argv[2], **{k: float(v) for k, v in given.items()}))
