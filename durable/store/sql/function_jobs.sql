-- name: find
-- The latest run of an id that is of one task queue. At most one run of an id is open, and that is the latest.
select j.run_id, j.jid, j.app_id, j.graph, j.graph_version, j.state, j.status, j.input, j.output, j.error, j.pending,
    j.reply_to, j.created_at, j.finished_at, j.document, j.attributes, j.parent_run_id, j.parent_number,
    p.jid as parent_jid, durable.now() as now
from durable.jobs j left join durable.jobs p on p.run_id = j.parent_run_id
where j.scope = '' and j.jid = :jid and j.app_id = :queue
order by j.run_id desc limit 1

-- name: ended
-- Those of these runs that have ended: what waiters read when an end was announced, and when they poll.
select j.run_id, j.jid, j.app_id, j.graph, j.graph_version, j.state, j.status, j.input, j.output, j.error, j.pending,
    j.reply_to, j.created_at, j.finished_at, j.document, j.attributes, j.parent_run_id, j.parent_number,
    p.jid as parent_jid, durable.now() as now
from durable.jobs j left join durable.jobs p on p.run_id = j.parent_run_id
where j.run_id = any(:run_ids::bigint[]) and j.scope = '' and j.finished_at is not null
