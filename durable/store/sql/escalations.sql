-- name: open
-- Waits of jobs that begin in this transaction, and escalations without a job (run_id is null).
insert into durable.escalations (
    app_id, run_id, aid, dad, jid, graph, topic, role, type, subtype, entity, priority, description, task_queue,
    workflow_type, origin_id, parent_id, initiated_by, trace_id, span_id, envelope, metadata, expires_at,
    created_at, updated_at)
select r.app_id, r.run_id, r.aid, r.dad, r.jid, r.graph, r.topic, r.role, r.type, r.subtype, r.entity,
    coalesce(r.priority, 5), r.description, r.task_queue, r.workflow_type, r.origin_id, r.parent_id, r.initiated_by,
    r.trace_id, r.span_id, r.envelope, coalesce(r.metadata, '{}'), to_timestamp(r.expires_at),
    durable.now(), durable.now()
from json_to_recordset($1::json) as r(
    app_id text, run_id bigint, aid text, dad text, jid text, graph text, topic text, role text, type text,
    subtype text, entity text, priority integer, description text, task_queue text, workflow_type text,
    origin_id text, parent_id text, initiated_by text, trace_id text, span_id text, envelope json, metadata jsonb,
    expires_at float8)
returning id

-- name: close
-- Waits that have ended: of these activities, or of whole runs (dad is null) whatever was still open. Rows are
-- locked in the order of their ids, as everybody does, so that no two wait for each other.
with found as materialized (
    select distinct on (e.id) e.id, c.status, c.payload
    from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) as c(run_id, dad, aid, status, payload)
    join durable.escalations e on e.run_id = c.run_id and (c.dad is null or (e.dad = c.dad and e.aid = c.aid))
    where e.status = 'pending'
    order by e.id, c.dad nulls last
), held as materialized (
    select e.id from durable.escalations e join found f on f.id = e.id
    where e.status = 'pending' order by e.id for update of e
)
update durable.escalations e
set status = f.status, resolver_payload = f.payload::json, resolved_at = durable.now(), updated_at = durable.now()
from held h join found f on f.id = h.id
where e.id = h.id

-- name: settle
-- What a resolver adds to rows that it holds; those that no job waits for are closed here.
update durable.escalations e
set resolved_by = coalesce($4, e.resolved_by), metadata = e.metadata || coalesce($5::jsonb, '{}'),
    status = case when e.status = 'pending' then $2 else e.status end,
    resolver_payload = case when e.status = 'pending' then $3::json else e.resolver_payload end,
    resolved_at = coalesce(e.resolved_at, durable.now()), updated_at = durable.now()
where e.id = $1

-- name: lock
-- These rows, held until commit, in the order of their ids.
select e.*, e.status = 'pending' and (e.assigned_to is null or e.assigned_until <= durable.now()) as available,
    e.assigned_until > durable.now() as claim_holds
from durable.escalations e
where e.app_id = $1 and e.id = any($2::bigint[])
order by e.id for update of e

-- name: read
select e.*, e.status = 'pending' and (e.assigned_to is null or e.assigned_until <= durable.now()) as available
from durable.escalations e
where e.app_id = $1 and e.id = any($2::bigint[])
order by e.id

-- name: list
-- Every filter that is null lets everything through.
select e.*, e.status = 'pending' and (e.assigned_to is null or e.assigned_until <= durable.now()) as available
from durable.escalations e
where e.app_id = $1
  and ($2::text[] is null or e.role = any($2)) and ($3::text[] is null or e.type = any($3))
  and ($4::text[] is null or e.subtype = any($4)) and ($5::text[] is null or e.entity = any($5))
  and ($6::text[] is null or e.status = any($6)) and ($7::text[] is null or e.assigned_to = any($7))
  and ($8::text[] is null or e.jid = any($8)) and ($9::text[] is null or e.topic = any($9))
  and ($10::text[] is null or e.origin_id = any($10)) and ($11::integer[] is null or e.priority = any($11))
  and ($12::jsonb is null or e.metadata @> $12)
  and ($13::boolean is null or $13 = (e.status = 'pending' and (e.assigned_to is null or e.assigned_until <= durable.now())))
order by case when $14 = 'priority' then e.priority end,
    case when $15 then null else e.created_at end, case when $15 then e.created_at end desc, e.id
limit $16 offset $17

-- name: count
select count(*) from durable.escalations e
where e.app_id = $1
  and ($2::text[] is null or e.role = any($2)) and ($3::text[] is null or e.type = any($3))
  and ($4::text[] is null or e.subtype = any($4)) and ($5::text[] is null or e.entity = any($5))
  and ($6::text[] is null or e.status = any($6)) and ($7::text[] is null or e.assigned_to = any($7))
  and ($8::text[] is null or e.jid = any($8)) and ($9::text[] is null or e.topic = any($9))
  and ($10::text[] is null or e.origin_id = any($10)) and ($11::integer[] is null or e.priority = any($11))
  and ($12::jsonb is null or e.metadata @> $12)
  and ($13::boolean is null or $13 = (e.status = 'pending' and (e.assigned_to is null or e.assigned_until <= durable.now())))

-- name: next_available
-- The first that may be claimed and that nobody else is claiming in this moment.
select e.id from durable.escalations e
where e.app_id = $1 and e.status = 'pending' and (e.assigned_to is null or e.assigned_until <= durable.now())
  and e.metadata @> $2::jsonb and ($3::text[] is null or e.role = any($3))
order by e.priority, e.created_at, e.id
limit 1 for update skip locked

-- name: claim
update durable.escalations e
set claimed_at = case when e.assigned_to = $2 and e.assigned_until > durable.now() then e.claimed_at else durable.now() end,
    assigned_to = $2, assigned_until = durable.now() + make_interval(secs => $3), updated_at = durable.now()
where e.id = any($1::bigint[])

-- name: release
update durable.escalations e
set assigned_to = null, assigned_until = null, claimed_at = null, updated_at = durable.now()
where e.id = any($1::bigint[])

-- name: to_role
-- Another role's from now on: whoever had claimed it has it no more.
update durable.escalations e
set role = $2, assigned_to = null, assigned_until = null, claimed_at = null, updated_at = durable.now()
where e.id = any($1::bigint[])

-- name: update
update durable.escalations e
set priority = coalesce($2, e.priority), description = coalesce($3, e.description),
    metadata = e.metadata || coalesce($4::jsonb, '{}'), milestones = e.milestones || coalesce($5::jsonb, '[]'),
    expires_at = coalesce($6, e.expires_at), updated_at = durable.now()
where e.id = any($1::bigint[])

-- name: stats
-- What waits now, and what happened in the last so many seconds, by role and type.
select e.role, e.type,
    count(*) filter (where e.status = 'pending') as pending,
    count(*) filter (where e.status = 'pending' and e.assigned_to is not null and e.assigned_until > durable.now())
        as claimed,
    count(*) filter (where e.created_at > durable.now() - make_interval(secs => $3)) as created,
    count(*) filter (where e.status = 'resolved' and e.resolved_at > durable.now() - make_interval(secs => $3))
        as resolved
from durable.escalations e
where e.app_id = $1 and ($2::text[] is null or e.role = any($2))
  and (e.status = 'pending' or e.resolved_at > durable.now() - make_interval(secs => $3))
group by e.role, e.type order by e.role, e.type

-- name: types
select distinct e.type from durable.escalations e where e.app_id = $1 and e.type is not null order by e.type

-- name: prune
-- Closed ones only, the oldest first; several may prune at once.
with old as (
    select e.id from durable.escalations e
    where e.app_id = $1 and e.status <> 'pending' and e.status = any($2::text[])
      and e.resolved_at <= durable.now() - make_interval(secs => $3)
    order by e.resolved_at limit $4 for update skip locked
)
delete from durable.escalations e using old where e.id = old.id returning e.id
