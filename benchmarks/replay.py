"""How long a worker that never saw a run needs until it goes on, by the length of its history.

python -m benchmarks.replay [10 100 1000 10000] [--runs 9] [--dsn …]

From the signal that wakes the run to its result: claim, read, replay, one new step and the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from pathlib import Path

import asyncpg

import durable
from benchmarks.meter import fresh
from benchmarks.systems.durable_system import NAMESPACE, Durable
from benchmarks.workloads import milliseconds


async def rest(dsn: str, runs: int, facts: int) -> None:
    """Until all these runs wait, held or not, with so many facts behind them."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": NAMESPACE})
    waits = "select count(*) = $1 from jobs where finished_at is null and revision >= $2"
    while not await connection.fetchval(waits, runs, facts):  # noqa: ASYNC110 - the database knows
        await asyncio.sleep(0.05)
    await connection.close()


async def cold(dsn: str, length: int, runs: int) -> list[float]:
    """Seconds that each of these runs took with a worker that was started meanwhile."""
    async with Durable(Path(), dsn) as system:
        handles = [await system.start("long", length) for _ in range(runs)]
        await rest(dsn, runs, length)
        await system.add_workers(1)
        old = system.processes.pop("worker")
        old.terminate()
        await asyncio.to_thread(old.wait)
        await system.execute("seq", 1)  # the new one is warm, but for the runs
        took = []
        for handle in handles:
            began = time.perf_counter()
            await system.signal(handle)
            await system.result(handle)
            took.append(time.perf_counter() - began)
    return took


async def main(args: argparse.Namespace) -> None:
    """A line for each length; what a fact costs is counted from the shortest history on."""
    least: tuple[int, float] | None = None
    async with await durable.connect(args.dsn, migrate=True) as host:
        for length in sorted(args.lengths):
            took = await cold(await fresh(host.dsn, "bench_replay"), length, args.runs)
            middle = statistics.median(took)
            line = {"facts": length, "runs": args.runs, "ms": milliseconds(middle)}
            line |= {"least_ms": milliseconds(min(took)), "most_ms": milliseconds(max(took))}
            if least is None:
                least = length, middle
            else:
                line["us_per_fact"] = round(1e6 * (middle - least[1]) / (length - least[0]), 1)
            print(json.dumps(line), flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lengths", nargs="*", type=int, default=[10, 100, 1_000, 10_000])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--dsn", default=None, help="without it, an embedded Postgres")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
