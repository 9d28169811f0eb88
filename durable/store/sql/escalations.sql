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
from json_to_recordset(:rows::json) as r(
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
    from unnest(:closed.*) as c(:closed)
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
set resolved_by = coalesce(:resolver, e.resolved_by), metadata = e.metadata || coalesce(:metadata::jsonb, '{}'),
    status = case when e.status = 'pending' then :status else e.status end,
    resolver_payload = case when e.status = 'pending' then :payload::json else e.resolver_payload end,
    resolved_at = coalesce(e.resolved_at, durable.now()), updated_at = durable.now()
where e.id = :escalation

-- name: lock
-- These rows, held until commit, in the order of their ids.
select e.*, e.status = 'pending' and (e.assigned_to is null or e.assigned_until <= durable.now()) as available,
    e.assigned_until > durable.now() as claim_holds
from durable.escalations e
where e.app_id = :app_id and e.id = any(:ids::bigint[])
order by e.id for update of e

-- name: read
select e.*, e.status = 'pending' and (e.assigned_to is null or e.assigned_until <= durable.now()) as available
from durable.escalations e
where e.app_id = :app_id and e.id = any(:ids::bigint[])
order by e.id

-- name: list
-- Every filter that is null lets everything through.
select e.*, e.status = 'pending' and (e.assigned_to is null or e.assigned_until <= durable.now()) as available
from durable.escalations e
-- include: chosen_escalations()
order by case when :order = 'priority' then e.priority end,
    case when :newest then null else e.created_at end, case when :newest then e.created_at end desc, e.id
limit :limit offset :skipped

-- name: count
select count(*) from durable.escalations e
-- include: chosen_escalations()

-- name: next_available
-- The first that may be claimed and that no other session is claiming at this moment.
select e.id from durable.escalations e
where e.app_id = :app_id and e.status = 'pending' and (e.assigned_to is null or e.assigned_until <= durable.now())
  and e.metadata @> :metadata::jsonb and (:roles::text[] is null or e.role = any(:roles))
order by e.priority, e.created_at, e.id
limit 1 for update skip locked

-- name: claim
update durable.escalations e
set claimed_at = case when e.assigned_to = :assignee and e.assigned_until > durable.now() then e.claimed_at else durable.now() end,
    assigned_to = :assignee, assigned_until = durable.now() + make_interval(secs => :seconds), updated_at = durable.now()
where e.id = any(:ids::bigint[])

-- name: release
update durable.escalations e
set assigned_to = null, assigned_until = null, claimed_at = null, updated_at = durable.now()
where e.id = any(:ids::bigint[])

-- name: to_role
-- Another role's from now on: whoever had claimed it has it no more.
update durable.escalations e
set role = :role, assigned_to = null, assigned_until = null, claimed_at = null, updated_at = durable.now()
where e.id = any(:ids::bigint[])

-- name: update
update durable.escalations e
set priority = coalesce(:priority, e.priority), description = coalesce(:description, e.description),
    metadata = e.metadata || coalesce(:metadata::jsonb, '{}'), milestones = e.milestones || coalesce(:milestones::jsonb, '[]'),
    expires_at = coalesce(:expires_at, e.expires_at), updated_at = durable.now()
where e.id = any(:ids::bigint[])

-- name: stats
-- What waits now, and what happened in the last so many seconds, by role and type.
select e.role, e.type,
    count(*) filter (where e.status = 'pending') as pending,
    count(*) filter (where e.status = 'pending' and e.assigned_to is not null and e.assigned_until > durable.now())
        as claimed,
    count(*) filter (where e.created_at > durable.now() - make_interval(secs => :period)) as created,
    count(*) filter (where e.status = 'resolved' and e.resolved_at > durable.now() - make_interval(secs => :period))
        as resolved
from durable.escalations e
where e.app_id = :app_id and (:roles::text[] is null or e.role = any(:roles))
  and (e.status = 'pending' or e.resolved_at > durable.now() - make_interval(secs => :period))
group by e.role, e.type order by e.role, e.type

-- name: types
select distinct e.type from durable.escalations e where e.app_id = :app_id and e.type is not null order by e.type

-- name: prune
-- Closed ones only, the oldest first; several may prune at once.
with old as (
    select e.id from durable.escalations e
    where e.app_id = :app_id and e.status <> 'pending' and e.status = any(:statuses::text[])
      and e.resolved_at <= durable.now() - make_interval(secs => :age)
    order by e.resolved_at limit :limit for update skip locked
)
delete from durable.escalations e using old where e.id = old.id returning e.id
