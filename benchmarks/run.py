"""Runs the workloads on one system: worker and client are processes; one JSON line a run.

python -m benchmarks.run [W1 … W8] [--system durable] [--runs 3] [--scale 1.0] [--loop uvloop]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib
import json
from pathlib import Path
from typing import Any

from benchmarks.meter import Meter, bare_commits, fresh
from benchmarks.systems.system import System
from benchmarks.workloads import IDLE_SECONDS, WORKLOADS, milliseconds, percentile

SYSTEMS = ("durable", "restate", "absurd", "dbos")
CAVEATS = (
    "What these figures do not say: activities do nothing, so they measure the engine alone;",
    "client, worker and Postgres share the cores of one machine, so none has it for itself;",
    "machines differ and neighbours make noise (others_pct), so compare ratios of one run on one",
    "machine, and medians of several runs.",
)


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
    for key, name in (
        ("pg_write_txns", "write_txns_per_s"),
        ("pg_commits", "commits_per_s"),
        ("pg_stmts", "stmts_per_s"),
        ("pg_roundtrips", "roundtrips_per_s"),
    ):
        if key in d:
            figures[name] = round(d[key] / IDLE_SECONDS, 2)
    return {"s": IDLE_SECONDS, **figures}


async def measure(name: str, system: System, meter: Meter, scale: float) -> dict[str, Any]:
    """One run of one workload."""
    if name == "W8":
        return await idle(meter)
    before = await meter.read()
    gc.collect()  # or whatever was imported last decides in which figure a full collection falls
    figures = await WORKLOADS[name](system, scale)
    figures |= meter.difference(before, await meter.read())
    if name == "W5" and system.postgres:
        took = await bare_commits(system.dsn, int(500 * scale) + 1)
        figures["bare_commit_p50_ms"] = milliseconds(percentile(took, 0.5))
        figures["bare_commit_mean_ms"] = milliseconds(sum(took) / len(took))
    return figures


async def run(args: argparse.Namespace, dsn: str | None) -> None:
    """Run everything that was asked for, on an empty database."""
    kind: type[System] = importlib.import_module(f"benchmarks.systems.{args.system}_system").SYSTEM
    home = args.home.absolute() / args.system
    home.mkdir(parents=True, exist_ok=True)
    database = await fresh(dsn, f"bench_{args.system}") if dsn and kind.postgres else ""
    system = kind(home, database)
    system.loop = args.loop
    async with system:
        pids = {role: process.pid for role, process in system.processes.items()}
        meter = await Meter.open(database or None, pids)
        for line in (*await meter.surroundings(), *CAVEATS):
            print(f"# {line}", flush=True)
        for name in args.workloads or [*WORKLOADS, "W8"]:
            for _ in range(5):
                await system.execute("seq", 1)
            for number in range(args.runs):
                head = {
                    "system": system.name,
                    "variant": args.variant,
                    "w": name,
                    "run": number + 1,
                }
                try:
                    figures = await asyncio.wait_for(
                        measure(name, system, meter, args.scale), args.limit
                    )
                except TimeoutError:
                    figures = {"error": f"not done in {args.limit} s"}
                print(json.dumps(head | figures), flush=True)
        await meter.close()


async def main(args: argparse.Namespace) -> None:
    """Run on the server that was named, or on an embedded one."""
    async with contextlib.AsyncExitStack() as stack:
        dsn = args.dsn
        if dsn is None and args.system == "durable":
            durable = importlib.import_module("durable")  # other environments do not have it
            client = await durable.connect(report=lambda text: print(f"# {text}", flush=True))
            dsn = (await stack.enter_async_context(client)).dsn
        await run(args, dsn)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, "W8", []], metavar="W1…W8")
    parser.add_argument("--system", choices=SYSTEMS, default="durable")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--limit", type=float, default=180, help="seconds allowed for one run")
    parser.add_argument("--dsn", default=None, help="without it, an embedded Postgres")
    parser.add_argument("--home", type=Path, default=Path(".benchmarks"), help="of the peers")
    parser.add_argument(
        "--loop", choices=["asyncio", "uvloop"], default="asyncio", help="of client and worker"
    )
    parser.add_argument("--variant", default="default", help="a word for the lines")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    factory = importlib.import_module(given.loop).new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main(given))
