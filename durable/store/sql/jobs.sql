-- name: start_runs
-- Starts many runs in one statement. A request id that is already there is a start that happened: its
-- run comes back as started. An id taken by an open run, or by an ended one when the policy says no,
-- comes back as a conflict with that run.
-- `(select …)` hides from the planner how many there are, so that one plan is kept for all; `lateral … limit 1`
-- has it look each up, also by a plan that was made while the table was small. Both here and below.
with asked as (
    select * from unnest(
        (select :starts.request_id), :starts.jid, :starts.queue, :starts.workflow, :starts.input, :starts.priority,
        :starts.policy, :starts.reply_to, :starts.state, :starts.seed
    ) with ordinality as a(request_id, jid, queue, workflow, input, priority, policy, reply_to, begun, seed, place)
), met as (
    -- The newest run of each id decides, together with the policy.
    select a.*, g.run_id as again, s.run_id as standing, s.state, s.finished_at, s.graph
    from asked a
    left join lateral (select run_id from durable.jobs where request_id = a.request_id limit 1) g on true
    left join lateral (
        select run_id, state, finished_at, graph from durable.jobs
        where scope = '' and jid between a.jid and a.jid and a.policy <> 'fresh' order by jid desc, run_id desc limit 1
    ) s on true
), numbered as materialized (
    select m.*, case when m.again is null
        and (m.standing is null
             or (m.finished_at is not null
                 and (m.policy = 'allow' or (m.policy = 'failed_only' and m.state <> 'completed'))))
        then nextval('durable.ids') end as run_id
    from met m
), born as (
    -- `metadata` keeps what it began with as it was given; its first turn makes that a part of the history.
    insert into durable.jobs (run_id, jid, app_id, graph, priority, input, request_id, reply_to, created_at,
        metadata, attributes, document, seed)
    select n.run_id, n.jid, n.queue, n.workflow, n.priority, n.input::json, n.request_id,
        case when n.reply_to is null then '{}' else array[n.reply_to] end, durable.now(),
        n.begun::json, n.begun::jsonb -> 'attributes', n.begun::jsonb -> 'entity', n.seed
    from numbered n where n.run_id is not null
    on conflict do nothing
    returning run_id
), wake as (
    insert into durable.worker_streams (id, stream_name, workflow_name, jid, run_id, msg_type, priority, created_at, visible_at)
    select n.run_id, n.queue, n.workflow, n.jid, n.run_id, 'turn', n.priority, durable.now(), durable.now()
    from numbered n where n.run_id in (select run_id from born) is true
)
-- No run: the id was free in what this statement sees, but another start has it. Ask again. `in … is true`:
-- looked up by hash; as a join it may compare each with each.
select n.place,
    case when n.run_id is null then coalesce(n.again, n.standing)
         when n.run_id in (select run_id from born) then n.run_id end as run_id,
    n.again is not null or n.run_id in (select run_id from born) is true as started,
    n.finished_at is null as open, n.graph as workflow
from numbered n

-- name: latest
-- The newest run of an id.
select run_id, graph as workflow from durable.jobs where scope = '' and jid between :jid and :jid order by jid desc, run_id desc limit 1

-- name: outcomes
-- How runs ended; what a waiter reads when it was told, and when it polls. A run that has been pruned is "gone".
select a.run_id, coalesce(j.jid, '') as jid, coalesce(j.state, 'gone') as state, j.output, j.error
from unnest((select :run_ids::bigint[])) as a(run_id)
left join lateral (select * from durable.jobs where run_id = a.run_id limit 1) j on true
where j.run_id is null or j.finished_at is not null

-- name: await_end
-- A waiter that did not start the run itself leaves its channel; no row means that it has ended.
update durable.jobs set reply_to = array_append(array_remove(reply_to, :channel), :channel)
where run_id = :run_id and coalesce(finished_at, 'infinity') = 'infinity' returning run_id

-- name: describe
-- `pending` is written when there is something else to write too: what has settled since is left out.
select j.run_id, j.jid, j.app_id, j.graph, j.graph_version, j.state, j.status, j.revision, j.issued,
    (select json_agg(p.step) from json_array_elements(j.pending) as p(step)
     where j.finished_at is null and (p.step ->> 'number')::int <> all(array(
         select h.number from durable.history h where h.run_id = j.run_id and h.number > 0))) as pending,
    j.priority, j.input, j.output, j.error, coalesce(j.parent_run_id, j.awaiter_id) as parent_run_id, j.created_at,
    j.finished_at, j.attributes, j.document, w.visible_at, w.reserved_by, w.losses, m.name as member,
    array(select a.app from (
            select distinct p.step ->> 'app' as app from json_array_elements(j.pending) as p(step)
            where p.step ->> 'kind' = 'graph' and j.finished_at is null) a
        where not exists (select from durable.quorum q join durable.members e on e.member_id = q.member_id
            where q.app_id = a.app and q.topic is null)) as without_engine,
    w.id is not null and
-- include: paused(queue = j.app_id; served = j.graph)
from durable.jobs j
left join durable.worker_streams w on w.id = j.run_id
left join durable.members m on m.member_id = w.reserved_by
where j.run_id = :run_id

-- name: state
-- The state alone: what polls ask for.
select state from durable.jobs where run_id = :run_id

-- name: open_activities
-- Attempts of a run's activities that have ended without a result and are kept for people, in the order of their
-- ends; then those that have not settled. A step that is tried for ever leaves a row for each of its attempts: of
-- those that have ended the newest are given, and how many there are.
with ended as materialized (
    select id, count(*) over () as all_ended from durable.worker_streams
    where run_id = :run_id and msg_type = 'activity' and expired_at is not null
    order by expired_at desc, id desc limit :limit
), chosen as (
    select id, all_ended from ended
    union all
    select id, 0 from durable.worker_streams where run_id = :run_id and msg_type = 'activity' and expired_at is null
)
select w.id, w.aid, w.dad, w.stream_name, w.retry_attempt, w.max_retry_attempts, w.visible_at, w.reserved_by,
    w.expired_at, w.dead_lettered_at, w.error, c.all_ended,
    w.expired_at is null and w.reserved_by is null and
-- include: paused(queue = w.stream_name; served = w.topic)
from chosen c join durable.worker_streams w on w.id = c.id order by w.expired_at nulls last, w.id

-- name: put_aside
-- Signals that a run's code could not read, in the order in which it met them.
select topic, message, error, dead_lettered_at from durable.engine_streams
where run_id = :run_id and msg_type = 'signal' and dead_lettered_at is not null order by id

-- name: list
-- Newest first. Every filter may be null.
select run_id, jid, app_id, graph, state, created_at, finished_at
from durable.jobs
where scope = ''
  and (:workflow::text is null or graph = :workflow) and (:states::text[] is null or state = any(:states))
  and (:queue::text is null or app_id = :queue) and (:prefix::text is null or jid like :prefix || '%')
  and (:before::bigint is null or run_id < :before)
order by run_id desc limit :limit

-- name: count
select count(*) from durable.jobs
where scope = ''
  and (:workflow::text is null or graph = :workflow) and (:states::text[] is null or state = any(:states))
  and (:queue::text is null or app_id = :queue) and (:prefix::text is null or jid like :prefix || '%')

-- name: list_having
-- As `list`, of runs that have these attributes: a statement of its own, which its index serves whatever the
-- planner knows of the parameter.
select run_id, jid, app_id, graph, state, created_at, finished_at
from durable.jobs
where scope = '' and attributes @> :attributes::jsonb
  and (:workflow::text is null or graph = :workflow) and (:states::text[] is null or state = any(:states))
  and (:queue::text is null or app_id = :queue) and (:prefix::text is null or jid like :prefix || '%')
  and (:before::bigint is null or run_id < :before)
order by run_id desc limit :limit

-- name: count_having
select count(*) from durable.jobs
where scope = '' and attributes @> :attributes::jsonb
  and (:workflow::text is null or graph = :workflow) and (:states::text[] is null or state = any(:states))
  and (:queue::text is null or app_id = :queue) and (:prefix::text is null or jid like :prefix || '%')

-- name: terminate
-- Ends a run from outside, without its code: the same writes as a finish. Unless it throws, the run is left without
-- an error; unless it descends, its children go on.
with ended as (
    update durable.jobs j
    set state = 'terminated', status = j.status - 1000000000, error = case when :throws::boolean then :error::json end,
        finished_at = durable.now(), revision = j.revision + 1
    where j.run_id = :run_id and coalesce(j.finished_at, 'infinity') = 'infinity'
    returning j.run_id, j.revision, j.reply_to, j.parent_run_id, j.parent_number, j.graph, j.jid, j.pending, j.app_id
), fact as (
    insert into durable.history (run_id, revision, kind, number, at, name, failure)
    select run_id, revision, 'finished', 0, durable.now(), 'terminated', :error::json from ended
), wake as (
    delete from durable.worker_streams w using ended e where w.id = any(array[e.run_id]) returning w.reserved_by
), unread as (
    update durable.engine_streams s set expired_at = durable.now()
    where s.run_id = any(array(select e.run_id from ended e)) and s.expired_at is null
), running as (
    select m.id, m.reserved_by from durable.worker_streams m
    where m.run_id = any(array(select e.run_id from ended e)) and m.msg_type = 'activity' and m.expired_at is null
    order by m.id + 0 for update of m
), dropped as (
    update durable.worker_streams m set expired_at = durable.now(), reserved_by = null
    from running r where m.id = any(array[r.id])
), graphs as (
    -- Graphs that it awaits are given up: see `step_request`, which is written out here.
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, msg_type, topic, message, priority, created_at, visible_at)
    select s.step ->> 'app', e.graph, e.jid, 'abandon', s.step ->> 'name', json_build_object('request',
            (lpad(to_hex(e.run_id), 16, '0') || lpad(to_hex((s.step ->> 'number')::bigint), 16, '0'))::uuid),
        6, durable.now(), durable.now()
    from ended e cross join lateral json_array_elements(e.pending) as s(step)
    where s.step ->> 'kind' = 'graph' and :descend::boolean
    returning stream_name
), relatives as (
    -- The parent is told; children, for whom nobody waits any more, are asked to stop. Their ids come as an array: a
    -- row that was locked is looked at again when its lock is free, and a union of what this statement wrote is
    -- empty then.
    select k.id, k.reserved_by, k.visible_at, k.stream_name, k.workflow_name, k.jid,
        coalesce(k.id = e.parent_run_id, false) as above, e.parent_number, e.graph
    from ended e cross join durable.worker_streams k
    where k.id = any(array(
        select e.parent_run_id from ended e
        union all
        select c.run_id from ended e cross join lateral (
            select c.run_id from durable.jobs c
            where c.parent_run_id = e.run_id and c.finished_at is null offset 0) c
        where :descend::boolean
    ))
    order by k.id + 0 for no key update of k
), children as (
    select * from relatives r where not r.above
),
-- include: cancellation(wakes = children; why = '"the parent was terminated"'),
told as (
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, dad, msg_type, topic, aid, error, created_at, visible_at)
    select r.stream_name, r.workflow_name, r.jid, r.id, r.parent_number::text, 'step', 'child', r.graph,
        :error::json, durable.now(), durable.now()
    from relatives r where r.above
), pulled as (
    update durable.worker_streams k set visible_at = durable.now() from relatives r
    where k.id = any(array[r.id]) and r.above and r.reserved_by is null and r.visible_at > durable.now()
)
select 'ended' as what, e.run_id as id, (select w.reserved_by from wake w) as holder, null as queue,
    e.reply_to || array(
        select distinct s.channel from durable.subscriptions s
        where s.app_id = e.app_id and s.topic in (e.graph, '*')) as waiters
from ended e
union all
select 'attempt', r.id, r.reserved_by, null, null from running r where r.reserved_by is not null
union all
select 'relative', r.id, r.reserved_by, r.stream_name, null from relatives r
union all
select 'graph', null, null, g.stream_name, null from graphs g

-- name: deployed_for
-- The workflow of a run, and the versions that were generated for its task queue, the newest first.
select j.graph, j.app_id, v.version from durable.jobs j
left join lateral (
    select d.version, d.deployed_at from durable.app_versions d
    where d.app_id = j.app_id and d.generated order by d.deployed_at desc limit 20
) v on true
where j.run_id = :run_id order by v.deployed_at desc

-- name: deployed_to
-- The same of a task queue.
select version from durable.app_versions
where app_id = :queue and generated order by deployed_at desc limit 20

-- name: document
select descriptor from durable.app_versions where app_id = :queue and version = :version and generated
