"""Runs the workloads: a worker process, this process as the client, one JSON line a run.

python -m benchmarks.run [W1 … W8] [--runs 3] [--scale 1.0] [--dsn …]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from typing import Any

import durable
from benchmarks.meter import Meter, clear
from benchmarks.workflows import seq
from benchmarks.workloads import IDLE_SECONDS, WORKLOADS

NAMESPACE = "durable_bench"
CAVEATS = (
    "What these figures do not say: activities do nothing, so they measure the engine alone;",
    "client, worker and Postgres share the cores of one machine, so none has it for itself;",
    "machines differ and neighbours make noise (others_pct), so compare ratios of one run on one",
    "machine, and medians of several runs.",
)


async def start_worker(dsn: str) -> asyncio.subprocess.Process:
    """A worker process that is ready."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.worker", dsn, NAMESPACE, stdout=subprocess.PIPE
    )
    assert worker.stdout is not None
    line = await asyncio.wait_for(worker.stdout.readline(), 60)
    if line.strip() != b"READY":
        sys.exit("the worker did not start")
    return worker


async def idle(meter: Meter) -> dict[str, Any]:
    """W8: what an idle worker costs a second."""
    await asyncio.sleep(3)
    before = await meter.read()
    await asyncio.sleep(IDLE_SECONDS)
    d = meter.difference(before, await meter.read())
    figures = {
        f"{key}_pct": round(value * 100 / IDLE_SECONDS, 2)
        for key, value in d.items()
        if key.startswith("cpu_")
    }
    figures["write_txns_per_s"] = round(d["pg_write_txns"] / IDLE_SECONDS, 1)
    if "pg_stmts" in d:
        figures["stmts_per_s"] = round(d["pg_stmts"] / IDLE_SECONDS, 1)
        figures["roundtrips_per_s"] = round(d["pg_roundtrips"] / IDLE_SECONDS, 1)
    return {"s": IDLE_SECONDS, **figures}


async def measure(name: str, client: durable.Client, meter: Meter, scale: float) -> dict[str, Any]:
    """One run of one workload."""
    if name == "W8":
        return await idle(meter)
    before = await meter.read()
    figures = await WORKLOADS[name](client, scale)
    return {**figures, **meter.difference(before, await meter.read())}


async def main(args: argparse.Namespace) -> None:
    """Run everything that was asked for, in a schema that is made anew."""
    if args.dsn is not None:
        await clear(args.dsn, NAMESPACE)
    client = await durable.connect(
        args.dsn, namespace=NAMESPACE, report=lambda text: print(f"# {text}", flush=True)
    )
    worker = await start_worker(client.dsn)
    meter = await Meter.open(client.dsn, worker.pid)
    try:
        for line in (*await meter.surroundings(), *CAVEATS):
            print(f"# {line}", flush=True)
        for name in args.workloads or [*WORKLOADS, "W8"]:
            for _ in range(5):
                await client.execute(seq(1))
            for run in range(args.runs):
                figures = await asyncio.wait_for(
                    measure(name, client, meter, args.scale), args.limit
                )
                line = {
                    "peer": "durable",
                    "variant": args.variant,
                    "w": name,
                    "run": run + 1,
                    **figures,
                }
                print(json.dumps(line), flush=True)
    finally:
        worker.terminate()
        await worker.wait()
        await meter.close()
        await client.close()


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, "W8", []], metavar="W1…W8")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--limit", type=float, default=180, help="seconds allowed for one run")
    parser.add_argument("--dsn", default=None, help="without it, an embedded Postgres")
    parser.add_argument("--variant", default="default", help="a word for the lines")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
