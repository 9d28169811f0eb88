"""What runs and steps cost Postgres: statements, round trips, commits, log, dead rows, HOT updates.

python -m benchmarks.costs [W1 W3 W5 W6] [--scale 1.0] [--dsn …]

Without a DSN, an embedded server of its own in `.benchmarks/costs`, which counts statements; a
server that does not (`pg_stat_statements` is not preloaded) leaves those columns out.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.meter import Meter, fresh
from benchmarks.systems.durable_system import NAMESPACE, Durable
from benchmarks.workloads import WORKLOADS
from durable.postgres.embedded.launcher import ensure_running_blocking, release

HOME = Path(".benchmarks/costs/.durable")
RUNS_STEPS = {"W1": (200, 1), "W2": (2000, 1), "W3": (300, 10), "W5": (1, 1000), "W6": (500, 1)}
OURS = ("jobs", "history", "worker_streams", "engine_streams")
TABLES = """
    select coalesce(sum(n_tup_ins), 0)::float8 as rows_inserted,
        coalesce(sum(n_tup_upd), 0)::float8 as rows_updated,
        coalesce(sum(n_tup_del), 0)::float8 as rows_deleted,
        coalesce(sum(n_tup_hot_upd), 0)::float8 as hot
    from pg_stat_user_tables where schemaname = $1
        and relname in ('jobs', 'history', 'worker_streams', 'engine_streams')
"""


def counting() -> str:
    """The DSN of an embedded server that counts statements; it is told so before it starts anew."""
    for _ in range(2):
        server = ensure_running_blocking(HOME.absolute())
        if asyncio.run(counts(server.dsn)):
            break
        release(server)  # nobody else uses it: it ends
        wait_until_ended(server.dsn)
    return server.dsn


async def counts(dsn: str) -> bool:
    """Whether the server counts statements; if not, it will when it is started anew."""
    connection = await asyncpg.connect(dsn)
    preloaded = await connection.fetchval("show shared_preload_libraries")
    await connection.execute("alter system set shared_preload_libraries = pg_stat_statements")
    await connection.close()
    return "pg_stat_statements" in preloaded


def wait_until_ended(dsn: str) -> None:
    """Until nobody answers there any more."""

    async def knock() -> None:
        await (await asyncpg.connect(dsn)).close()

    with contextlib.suppress(OSError, asyncpg.PostgresError):
        while True:
            asyncio.run(knock())
            time.sleep(0.1)


async def told(connection: asyncpg.Connection) -> asyncpg.Record:
    """The statistics of the tables, once every connection has told what it did."""
    while True:
        row = await connection.fetchrow(TABLES, NAMESPACE)
        there = [await connection.fetchval(f"select count(*) from {NAMESPACE}.{t}") for t in OURS]  # noqa: S608
        if row["rows_inserted"] - row["rows_deleted"] == sum(there):
            return row
        await asyncio.sleep(0.2)


async def measure(name: str, system: Durable, scale: float) -> dict[str, Any]:
    """One workload: counts per run and per step (W6: per signal)."""
    pids = {role: process.pid for role, process in system.processes.items()}
    meter = await Meter.open(system.dsn, pids)
    tables = await asyncpg.connect(system.dsn)
    rows, before = await told(tables), await meter.read()
    await WORKLOADS[name](system, scale)
    d = meter.difference(before, await meter.read())
    after = await told(tables)
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
    parser.add_argument("workloads", nargs="*", choices=[*RUNS_STEPS, []], metavar="W…")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--dsn", default=None)
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    given.dsn = given.dsn or counting()
    asyncio.run(main(given))
