"""What a backlog costs: W2 and W3 on an empty database, and beside many waiting and ended runs.

python -m benchmarks.backlog [--waiting 100000] [--finished 1000000] [--rounds 5] [--only W2 W3]

Two databases of one server, measured in turn; the mark is 90 % of the speed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections import defaultdict
from pathlib import Path

import asyncpg

import durable
from benchmarks.meter import fresh
from benchmarks.systems.durable_system import NAMESPACE, Durable
from benchmarks.table import FIGURES
from benchmarks.workloads import WORKLOADS

KEYS = {figure.workload: figure.key for figure in FIGURES}

# As `seq(1)` leaves a run that has ended, and a run of `sig` or `timer` that waits. Ids begin with
# the time, as those that `durable.protocol.ids` makes: one a millisecond, the last an hour ago.
FILL = """
    create function pg_temp.dated(n bigint) returns text language sql as $$
        select lpad(to_hex((extract(epoch from now()) * 1000)::bigint - 3600000
            - ({finished} + {waiting} - n)), 12, '0') || '7' || substr(md5(n::text), 1, 3)
            || '8' || substr(md5(n::text), 4, 15)
    $$;
    insert into jobs (run_id, jid, app_id, graph, state, status, revision, issued, hold, request_id,
        input, output, created_at, finished_at)
    select -n, pg_temp.dated(n), 'default', 'seq', 'completed', 0, 3, 1, 1, pg_temp.dated(n)::uuid,
        '[1]', '[1.5]', now(), now() from generate_series(1, {finished}) n;
    insert into history (run_id, revision, kind, number, at, name, data)
    select -n, r, case r when 1 then 'started' when 2 then 'activity' else 'finished' end,
        case r when 2 then 1 else 0 end, now(), case r when 2 then 'tick' else 'seq' end, '1.5'
    from generate_series(1, {finished}) n, generate_series(1, 3) r;
    insert into jobs (run_id, jid, app_id, graph, status, revision, issued, hold, request_id, input,
        created_at)
    select -{finished} - n, pg_temp.dated({finished} + n), 'default', 'sig', 2, 1, 1, 1,
        pg_temp.dated({finished} + n)::uuid, '[null]', now() from generate_series(1, {waiting}) n;
    insert into history (run_id, revision, kind, number, at, name)
    select -{finished} - n, 1, 'started', 0, now(), 'sig' from generate_series(1, {waiting}) n;
    insert into worker_streams (id, stream_name, workflow_name, jid, run_id, msg_type, created_at,
        visible_at)
    select -{finished} - n, 'default', 'sig', pg_temp.dated({finished} + n), -{finished} - n,
        'turn', now(), case when n % 10 = 0 then now() + interval '30 days' else 'infinity' end
    from generate_series(1, {waiting}) n;
"""
TABLES = ("jobs", "history", "worker_streams", "engine_streams")


async def fill(dsn: str, finished: int, waiting: int) -> None:
    """Write so many runs of either kind, then do what autovacuum would have done by now."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": NAMESPACE})
    began = time.perf_counter()
    await connection.execute(FILL.format(finished=finished, waiting=waiting))
    for table in TABLES:
        await connection.execute(f"vacuum analyze {table}")
    await connection.execute("checkpoint")
    await connection.close()
    figures = {"finished": finished, "waiting": waiting, "s": round(time.perf_counter() - began, 1)}
    print(json.dumps({"what": "filled", **figures}), flush=True)


async def main(args: argparse.Namespace) -> None:
    """All rounds; then each workload's median on either database, and the share that is kept."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    async with await durable.connect(args.dsn, migrate=True) as host:
        empty = Durable(Path(), await fresh(host.dsn, "bench_empty"))
        full = Durable(Path(), await fresh(host.dsn, "bench_backlog"))
        async with empty, full:
            await fill(full.dsn, args.finished, args.waiting)
            places = {"empty": empty, "full": full}
            for number in range(args.rounds + 1):
                # The order turns round: whatever the first leaves to the second, both have it.
                for place in list(places)[:: 1 if number % 2 else -1]:
                    for name in args.only:
                        figures = await WORKLOADS[name](places[place], args.scale)
                        if number:  # the first round warms up
                            found[name, place].append(figures[KEYS[name]])
    for name in args.only:
        middle = {place: statistics.median(found[name, place]) for place in ("empty", "full")}
        line = {f"{place}_per_s": rates for place, rates in middle.items()}
        kept = round(100 * middle["full"] / middle["empty"], 1)
        spread = [min(found[name, "full"]), max(found[name, "full"])]
        print(json.dumps({"w": name, **line, "full_spread": spread, "kept_pct": kept}), flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=["W2", "W3"], default=["W2", "W3"])
    parser.add_argument("--dsn", default=None, help="without it, an embedded Postgres")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
