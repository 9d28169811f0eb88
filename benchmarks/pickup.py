"""How soon work begins: from a start to the function's first line; the same on another queue.

python -m benchmarks.pickup [--count 300] [--load 50] [--dsn …]

`start`: from the call of `client.start` to the first line; `answered`: from its answer, when the
start is on disk (less than nothing: the worker was faster than the answer). `activity`: from its
call in a run, the commit that sends it included, to its first line in a worker of another queue.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import durable
from benchmarks.meter import fresh
from benchmarks.systems.durable_system import Durable
from benchmarks.workloads import Figures, spread

ELSEWHERE = "elsewhere"


async def pickups(system: Durable, count: int) -> Figures:
    """So many of either kind, one after the other."""
    called, answered = [], []
    for _ in range(count):
        before = time.time()
        handle = await system.start("first", None)
        after = time.time()
        line = await system.result(handle)
        called.append(line - before)
        answered.append(line - after)
    activity = [await system.execute("far", ELSEWHERE) for _ in range(count)]
    return {
        **spread(called, "start_"), **spread(answered, "answered_"), **spread(activity, "activity_")
    }  # fmt: skip


@contextlib.asynccontextmanager
async def loaded(system: Durable, lanes: int) -> AsyncIterator[None]:
    """So many runs in flight all the while."""

    async def lane() -> None:
        while True:
            await system.execute("seq", 5)

    tasks = [asyncio.ensure_future(lane()) for _ in range(lanes)]
    await asyncio.sleep(1)  # it is under way
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def main(args: argparse.Namespace) -> None:
    """A line idle, a line under load."""
    async with (
        await durable.connect(args.dsn, migrate=True) as host,
        Durable(Path(), await fresh(host.dsn, "bench_pickup")) as system,
    ):
        await system.add_workers(1, ELSEWHERE)
        await pickups(system, 20)
        for lanes in (0, args.load):
            async with loaded(system, lanes):
                figures = await pickups(system, args.count)
            print(json.dumps({"in_flight": lanes, "n": args.count, **figures}), flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--load", type=int, default=50, help="runs in flight, five steps each")
    parser.add_argument("--dsn", default=None, help="without it, an embedded Postgres")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
