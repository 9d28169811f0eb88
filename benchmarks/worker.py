"""The worker process: serves until SIGTERM or the end of its stdin, says READY when it does.

python -m benchmarks.worker LOOP DSN NAMESPACE [QUEUE]
"""

from __future__ import annotations

import asyncio
import signal
import sys

import durable
from benchmarks.systems.children import end_with_parent
from benchmarks.workflows import WORKFLOWS, echo, tick
from durable.cli import event_loops


async def serve(dsn: str, namespace: str, queue: str = "default") -> None:
    """Run one worker until the process is told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    end_with_parent()
    async with (
        await durable.connect(dsn, namespace=namespace, migrate=True) as client,
        durable.Worker(
            client, workflows=WORKFLOWS.values(), activities=[tick, echo], task_queue=queue
        ),
    ):
        print("READY", flush=True)
        await stop.wait()


if __name__ == "__main__":
    loop, *arguments = sys.argv[1:]
    event_loops.run(serve(*arguments), event_loops.EventLoop(loop))
