"""What the size of a payload costs: it goes into a run, into an activity, and out of both again.

python -m benchmarks.payloads [100 1000 10000 100000 1000000] [--seconds 3] [--dsn …]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path

import durable
from benchmarks.meter import fresh
from benchmarks.systems.durable_system import Durable
from benchmarks.workloads import spread

CROSSINGS = 4  # the argument of the run, that of the activity, and two results


async def carry(system: Durable, size: int, seconds: float) -> dict[str, float]:
    """Runs one by one with a text of so many bytes, for so long."""
    text = ("durable " * (size // 8 + 1))[:size]
    took: list[float] = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends or len(took) < 5:
        began = time.perf_counter()
        assert await system.execute("carry", text) == text
        took.append(time.perf_counter() - began)
    rate = len(took) * size * CROSSINGS / sum(took)
    return {"n": len(took), **spread(took), "mb_per_s": round(rate / 1e6, 2)}


async def main(args: argparse.Namespace) -> None:
    """A line for each size."""
    async with (
        await durable.connect(args.dsn, migrate=True) as host,
        Durable(Path(), await fresh(host.dsn, "bench_payloads")) as system,
    ):
        await carry(system, 100, 1)
        for size in args.sizes:
            figures = await carry(system, size, args.seconds)
            print(json.dumps({"bytes": size, **figures}), flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = [100, 1_000, 10_000, 100_000, 1_000_000]
    parser.add_argument("sizes", nargs="*", type=int, default=sizes)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--dsn", default=None, help="without it, an embedded Postgres")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
