"""What finished runs cost: steps and starts beside them, a move of them elsewhere, their pruning.

python -m benchmarks.retention [--finished 1000000] [--dsn …]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import Any

import asyncpg

import durable
from benchmarks.workflows import seq, tick
from durable.engine.steps import workflow_commits
from durable.postgres.sql import SqlFile
from durable.store import jobs, members, retention, runs

NAMESPACE = "durable_bench_kept"
STATEMENTS: dict[SqlFile, dict[str, dict[str, Any]]] = {
    runs.SQL: {
        "claim": {
            "member": 1, "queue": "default", "workflows": ["seq"], "limit": 10, "waiting": 0.0,
        },
        "look": {
            "member": 1, "queue": "default", "workflows": ["seq"], "activities": ["tick"],
            "after": None,
        },
    },
    workflow_commits.SQL: {
        "commit_step": {
            "member": 1, "run_id": 1, "expected": 1, "hold": 1, "issued": 1, "token": 1,
            "status": 1, "kind": "activity", "number": 1, "at": None, "name": "step", "data": None,
            "failure": None, "input": None,
        },
    },
    jobs.SQL: {"latest": {"jid": "kept-77"}, "outcomes": {"run_ids": [77]}},
    members.SQL: {"sweep": {"lock_class": 1, "member": 2}, "tidy": {}},
    retention.SQL: {
        "count": {"older_than": None, "keep": [], "app_id": None, "limit": 1, "streams": True}
    },
}  # fmt: skip
FILL = """
    with kept as (
        insert into jobs (run_id, jid, app_id, graph, state, status, revision, request_id, input,
            output, created_at, finished_at)
        select nextval('ids'), 'kept-' || n, 'default', 'seq', 'completed', 0, 3, gen_random_uuid(),
            '[1]', '1', now(), now() from generate_series(1, $1::int) n
        returning run_id)
    insert into history (run_id, revision, kind, number, at, name, data)
    select run_id, r, 'activity', r, now(), 'step', '1' from kept, generate_series(1, 3) r
"""
# What a move would add to each run, done as cheaply as it can be: in batches, later.
MOVE = """
    with gone as (
        delete from jobs where run_id = any(array(
            select run_id from jobs
            where scope = '' and state = 'completed' and finished_at <= now()
            order by finished_at limit 500 for update skip locked))
        returning *)
    insert into jobs_archive select * from gone
"""


async def buffers(connection: asyncpg.Connection) -> dict[str, int]:
    """Pages that each hot statement touches."""
    found = {}
    for file, blocks in STATEMENTS.items():
        statements = file.load(NAMESPACE)
        for name, values in blocks.items():
            text, *args = statements.bind(name, **values)
            row = ""
            for _ in range(2):  # the second time the catalogues are known
                row = await connection.fetchval(
                    f"explain (analyze, buffers, format json) {text}", *args
                )
            plan = json.loads(row)[0]["Plan"]
            found[name] = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return found


async def runs_a_second(client: durable.Client, runs: int) -> float:
    """Starts to results of runs with five steps each, many at once; the best of three."""
    best = 0.0
    for _ in range(3):
        began = time.perf_counter()
        await asyncio.gather(*[client.execute(seq(5)) for _ in range(runs)])
        best = max(best, runs / (time.perf_counter() - began))
    return round(best)


async def wal(connection: asyncpg.Connection) -> int:
    """Bytes written to the log so far."""
    return int(await connection.fetchval("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


async def moving(connection: asyncpg.Connection, batches: int = 100) -> dict[str, Any]:
    """What moving so many batches of 500 runs to another table costs for each run."""
    await connection.execute("create table jobs_archive (like jobs)")
    await connection.execute("create unique index on jobs_archive (run_id)")
    await connection.execute("create index on jobs_archive (scope, jid, run_id)")
    began, before = time.perf_counter(), await wal(connection)
    for _ in range(batches):
        await connection.execute(MOVE)
    passed = time.perf_counter() - began
    written = await wal(connection) - before
    await connection.execute("drop table jobs_archive")
    return {
        "move_us_per_run": round(passed * 2000 / batches),
        "move_wal_bytes_per_run": round(written / 500 / batches),
    }


def say(what: str, figures: Any) -> None:
    """One line of JSON."""
    print(json.dumps({"what": what, "figures": figures}), flush=True)


async def main(dsn: str | None, finished: int, runs: int) -> None:
    """Measure without them, with them, moving them, pruning them."""
    async with await durable.connect(dsn, namespace=NAMESPACE, migrate=True) as client:
        connection = await asyncpg.connect(
            client.dsn, server_settings={"search_path": NAMESPACE, "jit": "off"}
        )
        async with durable.Worker(client, workflows=[seq], activities=[tick]):
            await runs_a_second(client, 200)
            for kept in (0, finished):
                if kept:
                    began = time.perf_counter()
                    await connection.execute(FILL.replace("$1", str(kept)))
                    say("filled", {"s": round(time.perf_counter() - began, 1)})
                for table in ("jobs", "history", "worker_streams", "engine_streams"):
                    await connection.execute(f"vacuum analyze {table}")
                say(f"{kept} finished", {"runs/s": await runs_a_second(client, runs)})
                say(f"{kept} finished, pages", await buffers(connection))
        say("moved", await moving(connection, max(1, finished // 5000)))
        before = await wal(connection)
        began = time.perf_counter()
        pruned = await client.prune(older_than=0)
        passed = time.perf_counter() - began
        say(
            "pruned",
            {
                "runs": pruned.runs,
                "s": round(passed, 1),
                "us_per_run": round(passed * 1e6 / pruned.runs),
                "wal_bytes_per_run": round((await wal(connection) - before) / pruned.runs),
            },
        )
        await connection.execute(f"drop schema {NAMESPACE} cascade")
        await connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dsn")
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=1000)
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.dsn, given.finished, given.runs)))
