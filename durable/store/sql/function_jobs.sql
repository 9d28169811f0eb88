-- name: find
-- The latest run of an id that is of one task queue. At most one run of an id is open, and that is the latest.
select j.run_id, j.jid, j.app_id, j.graph, j.graph_version, j.state, j.status, j.input, j.output, j.error, j.pending,
    j.reply_to, j.created_at, j.finished_at, j.document, j.attributes, j.parent_run_id, j.parent_number,
    j.awaiter_id, j.awaiter, p.jid as parent_jid, durable.now() as now
from durable.jobs j left join durable.jobs p on p.run_id = any(array[j.parent_run_id]) and p.state <> ''  -- which no index has
where j.scope = '' and j.jid between :jid and :jid and j.app_id = :queue
order by j.jid desc, j.run_id desc limit 1

-- name: ended
-- Those of these runs that have ended: what waiters read when an end was announced, and when they poll.
select j.run_id, j.jid, j.app_id, j.graph, j.graph_version, j.state, j.status, j.input, j.output, j.error, j.pending,
    j.reply_to, j.created_at, j.finished_at, j.document, j.attributes, j.parent_run_id, j.parent_number,
    j.awaiter_id, j.awaiter, p.jid as parent_jid, durable.now() as now
from durable.jobs j left join durable.jobs p on p.run_id = any(array[j.parent_run_id]) and p.state <> ''  -- which no index has
where j.run_id = any(:run_ids::bigint[]) and j.scope = '' and coalesce(j.finished_at, 'infinity') < 'infinity'

-- name: ended_since
-- The net beneath notifications: what ended on a task queue since a moment, of these workflows or (null) of all. The
-- states are named for the index of ended runs.
select j.run_id from durable.jobs j
where j.scope = '' and j.state in ('completed', 'failed', 'cancelled', 'terminated') and j.finished_at >= :since
    and j.app_id = :queue and (:workflows::text[] is null or j.graph = any(:workflows))
order by j.finished_at

-- name: subscribe
-- Whoever subscribes, or does so still, clears away what is left of those that died.
with left_behind as (
    delete from durable.subscriptions s where s.seen_at < durable.now() - interval '10 minutes'
)
insert into durable.subscriptions as s (app_id, topic, channel, subscriber, seen_at)
select :queue, a.topic, a.channel, :subscriber, durable.now()
from unnest(:topics::text[], :channels::text[]) as a(topic, channel)
on conflict (app_id, topic, channel, subscriber) do update set seen_at = excluded.seen_at

-- name: unsubscribe
delete from durable.subscriptions s
where s.app_id = :queue and s.topic = any(:topics::text[]) and s.subscriber = :subscriber
