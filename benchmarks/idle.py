"""What idle workers cost: statements a second and CPU, for one and for twenty of them.

python -m benchmarks.idle [1 20 …] [--seconds 10] [--dsn …]

Without a DSN on the server of `benchmarks.costs`, which counts statements. On one that does not,
commits are counted, those of autovacuum among them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from benchmarks.costs import counting
from benchmarks.meter import Meter, fresh
from benchmarks.systems.durable_system import Durable

SETTLE = 8.0  # seconds after which a worker that has begun is at rest


async def idle(dsn: str, workers: int, seconds: float) -> None:
    """One line: so many workers, each a process, on an empty database."""
    system = Durable(Path(), await fresh(dsn, "bench_idle"))
    system.workers = workers
    async with system:
        await system.execute("seq", 1)
        pids = {role: process.pid for role, process in system.processes.items()}
        meter = await Meter.open(system.dsn, pids)
        await asyncio.sleep(SETTLE)
        before = await meter.read()
        await asyncio.sleep(seconds)
        d = meter.difference(before, await meter.read())
        await meter.close()
    cpu = sum(value for key, value in d.items() if key.startswith("cpu_worker"))
    statements = d.get("pg_stmts", d.get("pg_commits", 0))
    line = {
        "workers": workers,
        "stmts_per_s": round(statements / seconds, 2),
        "write_txns_per_s": round(d["pg_write_txns"] / seconds, 2),
        "cpu_worker_pct": round(100 * cpu / seconds / workers, 2),
        "cpu_pg_pct": round(100 * d.get("cpu_pg", 0) / seconds, 2),
    }
    print(json.dumps(line), flush=True)


async def main(args: argparse.Namespace) -> None:
    """Each number of workers in turn."""
    for count in args.workers:
        await idle(args.dsn, count, args.seconds)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workers", nargs="*", type=int, default=[1, 20])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--dsn", default=None, help="a server; else one that counts statements")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    given.dsn = given.dsn or counting()
    asyncio.run(main(given))
