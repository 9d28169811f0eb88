-- name: lock_keys
-- Who registers, wakes or removes waiters of a key holds its lock until commit: a signal and its waiter
-- then see each other, whichever comes first. Always taken in this order, and in one statement.
select pg_advisory_xact_lock(k.key)
from (select distinct key from unnest(:keys::bigint[]) as k(key) order by key) k

-- name: register
insert into durable.hooks (app_id, topic, rule, key, run_id, dad, aid, created_at)
select h.app_id, h.topic, h.rule, h.key, h.run_id, h.dad, h.aid, durable.now()
from unnest(:hooks.*) as h(:hooks)

-- name: keys_of
-- What the waiters of these activities, or of whole runs (dad is null), wait for.
select distinct k.* from (
    select h.app_id, h.topic, h.rule, h.key
    from unnest(:waiters.*) as a(:waiters)
    join durable.hooks h on h.run_id = any(array[a.run_id]) and (a.dad is null or (h.dad = a.dad and h.aid = a.aid))
    offset 0) k

-- name: remove
delete from durable.hooks h
using unnest(:waiters.*) as a(:waiters)
where h.run_id = any(array[a.run_id]) and (a.dad is null or (h.dad = a.dad and h.aid = a.aid))

-- name: find
-- The oldest waiter of one of these keys.
select h.run_id, h.dad, h.aid
from unnest(:rules::text[], :keys::text[]) as k(rule, key)
join durable.hooks h on h.app_id = :app_id and h.topic = :topic and h.rule = k.rule and h.key = k.key
order by h.id + 0 limit 1

-- name: find_of_run
-- The same, of one job, for which the signal is.
select h.run_id, h.dad, h.aid
from durable.hooks h join unnest(:rules::text[], :keys::text[]) as k(rule, key) on h.rule = k.rule and h.key = k.key
where h.run_id = :run_id and h.app_id = :app_id and h.topic = :topic
order by h.id + 0 limit 1

-- name: park
-- One row per rule of the topic, so that whichever hook comes finds it by its own. What says that it is for one job
-- only (`only`) is not kept when that job has ended; what is for one job leaves with it.
insert into durable.early_signals (signal_id, app_id, topic, rule, key, message, created_at, run_id)
select :signal_id, :app_id, :topic, k.rule, k.key, :message::json, durable.now(), coalesce(m.only, :run_id::bigint)
from (select ((:message::json) ->> 'only')::bigint as only) m, unnest(:rules::text[], :keys::text[]) as k(rule, key)
where m.only is null or exists (select from durable.jobs j where j.run_id = m.only and j.state = 'running')
on conflict do nothing

-- name: unpark
-- Takes the oldest early signal of one of these keys that is for anybody or for this run, with its rows for other
-- rules.
with first as (
    select e.signal_id
    from unnest(:rules::text[], :keys::text[]) as k(rule, key)
    join durable.early_signals e on e.app_id = :app_id and e.topic = :topic and e.rule = k.rule and e.key = k.key
    where e.run_id is null or e.run_id = :run_id
    order by e.signal_id limit 1
), gone as (
    delete from durable.early_signals e using first where e.signal_id = first.signal_id
    returning e.signal_id, e.message
)
select signal_id, message from gone limit 1

-- name: parked
-- The early signals of a topic, each once: a deployment that adds a rule gives them a key for it.
select distinct on (e.signal_id) e.signal_id, e.message, e.created_at, e.run_id from durable.early_signals e
where e.app_id = :app_id and e.topic = :topic order by e.signal_id
