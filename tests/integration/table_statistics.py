"""What Postgres believes of tables when it plans: it keeps a plan until they are analysed again.

Autovacuum is switched off for the tables, so that nothing changes their statistics amid a test.
"""

from __future__ import annotations

from typing import Literal, get_args

import asyncpg

Statistics = Literal["none", "empty", "few", "few in many pages"]
STATISTICS: tuple[Statistics, ...] = get_args(Statistics)

TABLES = ("jobs", "history", "worker_streams", "engine_streams", "activities", "hooks")
ROWS = {"few": 1, "few in many pages": 20_000}
LAST = -1  # of the rows that stay

FILL = """
    insert into jobs (run_id, jid, app_id, graph, created_at)
    select {last} - n, 'left-' || n, 'left', 'left', now()
    from generate_series({rows} - 1, 0, -1) n;
    insert into history (run_id, revision, kind, number, at, name)
    select {last} - n, 1, 'started', 0, now(), 'left' from generate_series({rows} - 1, 0, -1) n;
    insert into worker_streams (id, stream_name, workflow_name, run_id, msg_type, created_at,
        visible_at)
    select {last} - n, 'left', 'left', {last} - n, 'turn', now(), 'infinity'
    from generate_series({rows} - 1, 0, -1) n;
    insert into engine_streams (id, stream_name, workflow_name, run_id, msg_type, created_at,
        visible_at)
    select {last} - n, 'left', 'left', {last} - n, 'signal', now(), 'infinity'
    from generate_series({rows} - 1, 0, -1) n;
    insert into activities (run_id, dad, aid, open, opened_at)
    select {last} - n, '', 'left', true, now() from generate_series({rows} - 1, 0, -1) n;
    insert into hooks (id, app_id, topic, rule, key, run_id, dad, aid, created_at)
    select {last} - n, 'left', 'left', '', n::text, {last} - n, '', 'left', now()
    from generate_series({rows} - 1, 0, -1) n;
    delete from jobs where run_id < {last};
    delete from history where run_id < {last};
    delete from worker_streams where run_id < {last};
    delete from engine_streams where run_id < {last};
    delete from activities where run_id < {last};
    delete from hooks where run_id < {last};
"""


async def leave(connection: asyncpg.Connection, statistics: Statistics) -> None:
    """Have the tables of the search path, which are new, leave these statistics to the planner.

    Args:
        connection: whose search path is the schema.
        statistics: "none" of tables that were never analysed; else what was analysed: "empty"
            tables, "few" rows, or the few rows that stay of many, whose pages stay as well.
    """
    for table in TABLES:
        await connection.execute(f"alter table {table} set (autovacuum_enabled = off)")
    if rows := ROWS.get(statistics):
        await connection.execute(FILL.format(rows=rows, last=LAST))
    if statistics != "none":
        for table in TABLES:
            await connection.execute(f"vacuum analyze {table}")
