"""Fills a schema with what years of use leave behind, and with much that waits."""

from __future__ import annotations

import asyncpg

BIG = ("jobs", "history", "worker_streams", "engine_streams", "activities", "hooks")

FINISHED = """
    insert into jobs (run_id, jid, app_id, graph, state, status, revision, request_id, created_at,
        finished_at)
    select n, 'run-' || n, 'q', 'flow', case when n % 10 = 0 then 'failed' else 'completed' end, 0,
        2, gen_random_uuid(), now() - interval '1 hour', now() - interval '1 hour'
    from generate_series(1, {finished}) n;
    insert into history (run_id, revision, kind, number, at, name)
    select n, 1, 'started', 0, now(), 'flow' from generate_series(1, {finished}) n;
"""
# Of the functions' queue `q`: runs that wait, one in ten for a timer, an attempt of each
# that waits for its next try. Of the graphs' app: jobs that wait for a signal, a timer, a worker.
WAITING = """
    insert into jobs (run_id, jid, app_id, graph, revision, issued, hold, status, request_id,
        created_at)
    select -n, 'waiting-' || n, 'q', 'told', 1, 1, 1, 2, gen_random_uuid(), now()
    from generate_series(1, {waiting}) n;
    insert into history (run_id, revision, kind, number, at, name)
    select -n, 1, 'started', 0, now(), 'told' from generate_series(1, {waiting}) n;
    insert into worker_streams (id, stream_name, workflow_name, jid, run_id, msg_type, created_at,
        visible_at)
    select -n, 'q', 'told', 'waiting-' || n, -n, 'turn', now(),
        case when n % 10 = 0 then now() + interval '30 days' else 'infinity' end
    from generate_series(1, {waiting}) n;
    insert into worker_streams (stream_name, workflow_name, jid, run_id, aid, topic, dad, msg_type,
        created_at, visible_at)
    select 'q', 'told', 'waiting-' || n, -n, 'add', 'add', '1', 'activity', now(),
        now() + interval '1 day'
    from generate_series(1, {waiting}) n;
    insert into jobs (run_id, jid, scope, app_id, graph, graph_version, created_at, metadata)
    select -{waiting} - n, 'open-' || n, 'app', 'app', 'work', '1', now(), '{{}}'
    from generate_series(1, {waiting}) n;
    insert into activities (run_id, dad, aid, open, opened_at)
    select -{waiting} - n, ',0,0', 'h', true, now() from generate_series(1, {waiting}) n;
    insert into hooks (app_id, topic, rule, key, run_id, dad, aid, created_at)
    select 'app', 'work.on', 'r', 'k' || n, -{waiting} - n, ',0,0', 'h', now()
    from generate_series(1, {waiting}) n;
    insert into engine_streams (stream_name, workflow_name, jid, run_id, aid, dad, msg_type,
        priority, created_at, visible_at)
    select 'app', 'work', 'open-' || n, -{waiting} - n, 'h', ',0,0', 'timehook', 5, now(),
        now() + interval '1 day'
    from generate_series(1, {waiting}) n;
    insert into worker_streams (stream_name, workflow_name, jid, run_id, aid, topic, dad, msg_type,
        created_at, visible_at)
    select 'app:work.do', 'work', 'open-' || n, -{waiting} - n, 'w', 'work.do', ',0,0', 'worker',
        now(), now() + interval '1 day'
    from generate_series(1, {waiting}) n;
"""


async def fill(connection: asyncpg.Connection, *, finished: int, waiting: int) -> None:
    """Write so many runs of each kind, as statements of ours would have left them.

    Indexes are made anew at the end, which takes a third of the time.
    """
    indexes = await connection.fetch(
        "select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition"
        " from pg_index i join pg_class t on t.oid = i.indrelid"
        " where t.relname = any($1) and t.relnamespace = current_schema()::regnamespace"
        " and not i.indisprimary",
        BIG,
    )
    await connection.execute("set synchronous_commit = off; set maintenance_work_mem = '256MB'")
    await connection.execute(f"alter sequence ids restart {finished + 1}")
    for index in indexes:
        await connection.execute(f"drop index {index['name']}")
    await connection.execute(FINISHED.format(finished=finished))
    await connection.execute(WAITING.format(waiting=waiting))
    for index in indexes:
        await connection.execute(index["definition"])
    await connection.execute("analyze")
