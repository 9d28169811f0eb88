"""Absurd: its SQL in the database, four polling loops in a worker process.

Polls are set to 20 ms (its default of 250 ms would decide every latency), results are looked up
every 5 ms at first, less often later.

    python -m benchmarks.systems.absurd_system DSN          the worker
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import time
import uuid
from typing import Any

import psycopg
from absurd_sdk import AsyncAbsurd
from absurdctl import BUNDLED_SCHEMA_SQL

from benchmarks.systems.children import end_with_parent
from benchmarks.systems.system import System

QUEUE = "bench"
LOOPS, CONCURRENCY, POLL = 4, 50, 0.02
CLIENTS = 16
LOOK, LOOK_MAX = 0.005, 0.25


async def tick() -> float:
    """The time."""
    return time.time()


def register(app: AsyncAbsurd) -> None:
    """The four workflows."""

    @app.register_task("seq")
    async def seq(count: int, context: Any) -> list[float]:
        return [await context.step(f"s{number}", tick) for number in range(count)]

    @app.register_task("fan")
    async def fan(count: int, context: Any) -> int:
        steps = [context.step(f"s{number}", tick) for number in range(count)]
        return len(await asyncio.gather(*steps))

    @app.register_task("sig")
    async def sig(event: str, context: Any) -> float:
        await context.await_event(event)
        return time.time()

    @app.register_task("timer")
    async def timer(delay: float, context: Any) -> float:
        await context.sleep_for("z", delay)
        return time.time()


class Absurd(System):
    """Sixteen connections start runs and look for their results."""

    name = "Absurd"

    async def begin(self) -> None:
        """Install its schema, connect, serve."""
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            await connection.execute(BUNDLED_SCHEMA_SQL)
        self.apps = [AsyncAbsurd(self.dsn, queue_name=QUEUE) for _ in range(CLIENTS)]
        await self.apps[0].create_queue(QUEUE)
        self.turns = itertools.cycle(self.apps)
        await self.serve(
            "worker", sys.executable, "-m", "benchmarks.systems.absurd_system", self.dsn
        )

    async def end(self) -> None:
        """Disconnect."""
        for app in self.apps:
            await app.close()

    async def start(self, workflow: str, argument: Any) -> tuple[str, str]:
        """Spawn a task; its id, and the event that it may wait for."""
        event = uuid.uuid4().hex
        given = event if workflow == "sig" else argument
        spawned = await next(self.turns).spawn(workflow, given, queue=QUEUE)
        return spawned["task_id"], event

    async def result(self, handle: tuple[str, str]) -> Any:
        """Look until it is there."""
        app, pause = next(self.turns), LOOK
        while True:
            found = await app.fetch_task_result(handle[0], queue_name=QUEUE)
            if found is not None and found.state in {"completed", "failed", "cancelled"}:
                assert found.state == "completed", found
                return found.result
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LOOK_MAX)

    async def signal(self, handle: tuple[str, str]) -> None:
        """Emit its event."""
        await next(self.turns).emit_event(handle[1], "x", queue_name=QUEUE)


SYSTEM = Absurd


async def work(dsn: str) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    end_with_parent()
    loops = []
    for number in range(LOOPS):
        app = AsyncAbsurd(dsn, queue_name=QUEUE)
        register(app)
        working = app.start_worker(
            worker_id=f"w{number}", concurrency=CONCURRENCY, poll_interval=POLL
        )
        loops.append(asyncio.create_task(working))
    print("READY", flush=True)
    await stop.wait()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
