"""How work scales over worker processes, and over client processes.

python -m benchmarks.scaling [--workers 1 2 4] [--clients 1 2 4 8] [--only W2 W3 W6] [--runs 3]

Runs are interleaved: each round measures every number once, and each workload after one that
is not counted: new processes plan their statements first, and the more there are, the longer that
takes. More processes than cores cannot be faster; the question is what they lose.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import durable
from benchmarks.meter import fresh
from benchmarks.systems.children import end_with_parent
from benchmarks.systems.durable_system import NAMESPACE, Durable
from benchmarks.systems.system import ended
from benchmarks.table import FIGURES
from benchmarks.workloads import WORKLOADS, capped

KEYS = {figure.workload: figure.key for figure in FIGURES}
RUNS_OF_CLIENTS, IN_FLIGHT = 4000, 200
WARM = 1.0  # the share of a workload that comes first
Found = dict[tuple[str, str], list[float]]


async def workers(dsn: str, count: int, names: list[str], scale: float, found: Found) -> None:
    """Each workload once, with so many worker processes."""
    system = Durable(Path(), await fresh(dsn, "bench_scaling"))
    system.workers = count
    async with system:
        for name in names:
            await WORKLOADS[name](system, WARM)
            figures = await WORKLOADS[name](system, scale)
            found[name, f"{count} workers"].append(figures[KEYS[name]])


async def clients(dsn: str, count: int, found: Found) -> None:
    """W2 by so many client processes at once, with one worker."""
    async with Durable(Path(), await fresh(dsn, "bench_scaling")) as system:
        command = [
            sys.executable, "-m", "benchmarks.scaling", "--client", system.dsn,
            str(RUNS_OF_CLIENTS // count), str(IN_FLIGHT // count),
        ]  # fmt: skip
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(count)
        ]
        try:
            for process in processes:
                assert process.stdout is not None
                await asyncio.to_thread(process.stdout.readline)
            before = time.perf_counter()
            await asyncio.gather(*[asyncio.to_thread(go, process) for process in processes])
            seconds = time.perf_counter() - before
        finally:
            for process in processes:
                process.terminate()
                ended(process)
        found["W2", f"{count} clients"].append(RUNS_OF_CLIENTS / seconds)


def go(process: subprocess.Popen[bytes]) -> None:
    """Let a client process begin, and wait until it has done its runs; its stdin stays open."""
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    process.stdin.flush()
    if process.wait() != 0:
        sys.exit("a client process failed")


async def client(dsn: str, runs: int, in_flight: int) -> None:
    """One client process: ready, go, so many runs."""
    told = end_with_parent()
    system = Durable(Path(), dsn)
    system.client = await durable.connect(dsn, namespace=NAMESPACE, migrate=True)
    await system.execute("seq", 1)
    print("READY", flush=True)
    await asyncio.to_thread(told.wait)
    await capped(runs, in_flight, lambda _: system.execute("seq", 1))
    await system.client.close()


async def main(args: argparse.Namespace) -> None:
    """All rounds, and a line for each number and workload."""
    found: Found = defaultdict(list)
    async with await durable.connect(args.dsn, migrate=True) as host:
        for _ in range(args.runs):
            for count in args.workers:
                await workers(host.dsn, count, args.only, args.scale, found)
            for count in args.clients:
                await clients(host.dsn, count, found)
    for (name, what), rates in found.items():
        line = {
            "w": name, "with": what, "runs": len(rates),
            "per_s": round(statistics.median(rates), 1),
            "least": round(min(rates), 1), "most": round(max(rates), 1),
        }  # fmt: skip
        print(json.dumps(line), flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", nargs="*", type=int, default=[1, 2, 4])
    parser.add_argument("--clients", nargs="*", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), default=["W2", "W3", "W6"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=float, default=4.0, help="else W6 is over in 80 ms")
    parser.add_argument("--dsn", default=None, help="without it, an embedded Postgres")
    return parser.parse_args()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        asyncio.run(client(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    else:
        asyncio.run(main(arguments()))
