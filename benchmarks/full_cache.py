"""What a worker full of waiting runs costs a new one: start to result, beside an empty database.

python -m benchmarks.full_cache [--waiting 100000] [--held 12000] [--runs 200] [--rounds 5]

Two databases of one server, measured in turn. In one of them so many runs wait for a signal; more
than a worker holds (10,000) were begun by it, so that each new one has another go. The bar: the
99th percentile is at most three times that of the empty one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
from pathlib import Path

import asyncpg

import durable
from benchmarks.backlog import fill
from benchmarks.meter import fresh
from benchmarks.systems.durable_system import NAMESPACE, Durable
from benchmarks.workloads import timed

AT_ONCE = 500  # starts under way while the cache is filled
BAR = 3.0
DUE = "select exists(select from worker_streams where visible_at <= now() and reserved_by is null)"


async def hold(system: Durable, count: int) -> None:
    """Start so many runs that wait, and return when the worker has begun them all."""
    for first in range(0, count, AT_ONCE):
        some = range(first, min(count, first + AT_ONCE))
        await asyncio.gather(*[system.start("sig", None) for _ in some])
    connection = await asyncpg.connect(system.dsn, server_settings={"search_path": NAMESPACE})
    while True:
        if not await connection.fetchval(DUE):
            break
        await asyncio.sleep(0.1)
    await connection.close()


async def main(args: argparse.Namespace) -> None:
    """All rounds; then the middle of each figure over the rounds, and how they compare."""
    async with await durable.connect(args.dsn) as host:
        empty = Durable(Path(), await fresh(host.dsn, "bench_empty"))
        full = Durable(Path(), await fresh(host.dsn, "bench_full_cache"))
        took: dict[str, list[list[float]]] = {"empty": [], "full": []}
        async with empty, full:
            await fill(full.dsn, 0, args.waiting)
            await hold(full, args.held)
            places = {"empty": empty, "full": full}
            for number in range(args.rounds + 1):
                for name in list(places)[:: 1 if number % 2 else -1]:
                    system = places[name]
                    times = [
                        await timed(lambda system=system: system.execute("seq", 1))  # type: ignore[misc]
                        for _ in range(args.runs)
                    ]
                    if number:  # the first round warms up
                        took[name].append(sorted(times))
    middle = {
        f"{name}_{figure}_ms": round(
            1000 * statistics.median(t[int(len(t) * share)] for t in rounds), 2
        )
        for name, rounds in took.items()
        for figure, share in (("p50", 0.5), ("p99", 0.99))
    }
    ratio = round(middle["full_p99_ms"] / middle["empty_p99_ms"], 2)
    print(json.dumps({**middle, "p99_ratio": ratio, "bar": BAR}), flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--held", type=int, default=12_000)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dsn", default=None, help="without it, an embedded Postgres")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
