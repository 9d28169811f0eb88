"""The worker process: serves until SIGTERM, says READY when it does."""

from __future__ import annotations

import asyncio
import signal
import sys

import durable
from benchmarks.workflows import fan, seq, sig, tick, timer


async def serve(dsn: str, namespace: str) -> None:
    """Run one worker until the process is told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with (
        await durable.connect(dsn, namespace=namespace) as client,
        durable.Worker(client, workflows=[seq, fan, sig, timer], activities=[tick]),
    ):
        print("READY", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2]))
