"""What runs and steps cost Postgres: statements, round trips, commits, log, dead rows, HOT updates.

python -m benchmarks.costs [W1 W3 W5 W6] [--scale 1.0] [--dsn …]

Without a DSN, an embedded server of its own in `.benchmarks/costs`, which counts statements; a
server that does not (`pg_stat_statements` is not preloaded) leaves those columns out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.meter import Meter, fresh
from benchmarks.systems.durable_system import NAMESPACE, Durable
from benchmarks.workloads import WORKLOADS
from durable.postgres.embedded.launcher import ensure_running_blocking

HOME = Path(".benchmarks/costs/.durable")
RUNS_STEPS = {"W1": (200, 1), "W2": (2000, 1), "W3": (300, 10), "W5": (1, 1000), "W6": (500, 1)}
SETTLE = 2.0  # seconds after which every connection has told the statistics what it did
TABLES = """
    select coalesce(sum(n_tup_ins), 0)::float8 as rows_inserted,
        coalesce(sum(n_tup_upd), 0)::float8 as rows_updated,
        coalesce(sum(n_tup_del), 0)::float8 as rows_deleted,
        coalesce(sum(n_tup_hot_upd), 0)::float8 as hot
    from pg_stat_user_tables where schemaname = $1
"""


def counting() -> str:
    """The DSN of an embedded server that counts statements; it is told so before it starts anew."""
    told = HOME / "counts"
    if not told.exists():
        command = [sys.executable, "-m", "benchmarks.costs", "--prepare"]
        subprocess.run(command, check=True)
        told.touch()
    return ensure_running_blocking(HOME.absolute()).dsn


async def prepare(dsn: str) -> None:
    """Have the server preload what counts; it ends with this process."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("alter system set shared_preload_libraries = pg_stat_statements")
    await connection.close()


async def measure(name: str, system: Durable, scale: float) -> dict[str, Any]:
    """One workload: counts per run and per step (W6: per signal)."""
    pids = {role: process.pid for role, process in system.processes.items()}
    meter = await Meter.open(system.dsn, pids)
    tables = await asyncpg.connect(system.dsn)
    await asyncio.sleep(SETTLE)
    before, rows = await meter.read(), await tables.fetchrow(TABLES, NAMESPACE)
    await WORKLOADS[name](system, scale)
    await asyncio.sleep(SETTLE)
    d, after = (
        meter.difference(before, await meter.read()),
        await tables.fetchrow(TABLES, NAMESPACE),
    )
    await meter.close()
    await tables.close()
    changed = {key: after[key] - rows[key] for key in dict(after)}
    hot = changed.pop("hot")
    counts = {
        "statements": d.get("pg_stmts"), "round_trips": d.get("pg_roundtrips"),
        "commits": d.get("pg_commits"), "write_commits": d["pg_write_txns"],
        "wal_bytes": d["wal_mb"] * 1e6, **changed,
        "dead_rows": changed["rows_updated"] + changed["rows_deleted"],
    }  # fmt: skip
    many, each = RUNS_STEPS[name]
    runs = max(1, int(many * scale)) if many > 1 else 1
    steps = runs * each if many > 1 else int(each * scale)
    present = {key: value for key, value in counts.items() if value is not None}
    return {
        "w": name, "runs": runs, "steps": steps,
        "per_run": {key: round(value / runs, 2) for key, value in present.items()},
        "per_step": {key: round(value / steps, 2) for key, value in present.items()},
        "hot_pct": round(100 * hot / max(1, changed["rows_updated"]), 1),
    }  # fmt: skip


async def main(args: argparse.Namespace) -> None:
    """A line for each workload; polls and beats of the time that it takes are in it."""
    async with Durable(Path(), await fresh(args.dsn, "bench_costs")) as system:
        for _ in range(5):
            await system.execute("seq", 1)
        for name in args.workloads or ("W1", "W3", "W5", "W6"):
            print(json.dumps(await measure(name, system, args.scale)), flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "workloads", nargs="*", choices=[*RUNS_STEPS, []], default=["W1", "W3", "W5", "W6"]
    )
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--dsn", default=None)
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    if given.prepare:
        asyncio.run(prepare(ensure_running_blocking(HOME.absolute()).dsn))
    else:
        given.dsn = given.dsn or counting()
        asyncio.run(main(given))
