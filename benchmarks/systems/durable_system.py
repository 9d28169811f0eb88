"""This project: a worker process, and this process as the client."""

from __future__ import annotations

import sys
from typing import Any

import durable
from benchmarks.systems.system import System
from benchmarks.workflows import WORKFLOWS, go

NAMESPACE = "durable_bench"


class Durable(System):
    """`workers` processes on one queue, each on such a `loop`; the client is this process."""

    name = "durable"
    workers = 1

    async def begin(self) -> None:
        """Migrate, connect, serve."""
        self.client = await durable.connect(self.dsn, namespace=NAMESPACE, migrate=True)
        await self.add_workers(self.workers)

    async def add_workers(self, count: int, queue: str = "default") -> None:
        """So many worker processes more."""
        for _ in range(count):
            place = len(self.processes)
            await self.serve(
                f"worker{place or ''}",
                sys.executable,
                "-m",
                "benchmarks.worker",
                self.loop,
                self.dsn,
                NAMESPACE,
                queue,
            )

    async def end(self) -> None:
        """Disconnect."""
        await self.client.close()

    async def start(self, workflow: str, argument: Any) -> durable.Handle[Any]:
        """Start one of the workflows."""
        return await self.client.start(WORKFLOWS[workflow](argument))

    async def result(self, handle: durable.Handle[Any]) -> Any:
        """What the run returned."""
        return await handle.result()

    async def signal(self, handle: durable.Handle[Any]) -> None:
        """Signal it."""
        await handle.signal(go, "x")


SYSTEM = Durable
