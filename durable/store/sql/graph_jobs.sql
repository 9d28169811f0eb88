-- name: start
-- The caller holds the lock of an id that others may choose too. The id is taken by an open job, and by an ended
-- one until it expires (0 and less: never); by one that only counts as ended as long as it runs, since a signal for
-- the id could be for either. No row: taken.
insert into durable.jobs (
    run_id, jid, scope, app_id, graph, graph_version, state, status, input, output, error, metadata,
    parent_run_id, reply_to, created_at, finished_at, expires_at, request_id)
select nextval('durable.ids'), :jid, :app_id, :app_id, :graph, :version, :state, :status, :input::json, :output::json, :error::json, :metadata::json,
    :parent_run_id, :reply_to::text[], durable.now(), case when :over then durable.now() end,
    case when :pending::float8 is not null then durable.now() + make_interval(secs => :pending)
        when :over and x.expire > 0 then durable.now() + make_interval(secs => x.expire) end,
    :request
from (select coalesce((:metadata::json ->> 'expire')::float8, 1) as expire) x
where not exists (
    select from durable.jobs j where j.scope = :app_id and j.jid = :jid and (
        j.finished_at is null or j.state = 'running' or j.expires_at is null or j.expires_at > durable.now()))
on conflict (scope, jid) where finished_at is null do nothing
returning run_id

-- name: requested
-- The job that a request has started.
select j.run_id, j.jid, j.app_id, j.graph, j.graph_version, j.state, j.status, j.input, j.output, j.error,
    j.metadata, j.parent_run_id, j.reply_to, j.created_at, j.finished_at,
    j.entity, j.document, j.attributes,
    durable.now() as now
from durable.jobs j where j.request_id = :request

-- name: lock
-- Jobs that another engine is stepping are skipped: it goes on with them, or we come back.
select j.run_id, j.jid, j.app_id, j.graph, j.graph_version, j.state, j.status, j.input, j.output, j.error,
    j.metadata, j.parent_run_id, j.reply_to, j.created_at, j.finished_at,
    j.entity, j.document, j.attributes,
    durable.now() as now
from durable.jobs j where j.run_id = any(:run_ids::bigint[])
order by j.run_id for no key update of j skip locked

-- name: lock_one
-- As `lock`, but waits its turn: only for callers that hold no other lock.
select j.run_id, j.jid, j.app_id, j.graph, j.graph_version, j.state, j.status, j.input, j.output, j.error,
    j.metadata, j.parent_run_id, j.reply_to, j.created_at, j.finished_at,
    j.entity, j.document, j.attributes,
    durable.now() as now
from durable.jobs j where j.run_id = :run_id for no key update of j

-- name: find
-- The latest job of an id, and nothing of jobs that are not graphs'. A pending one whose time is over is as good as
-- gone. `put_aside` is why a message of it was, and waits for somebody: see `deliver_again`.
select j.run_id, j.jid, j.app_id, j.graph, j.graph_version, j.state, j.status, j.input, j.output, j.error,
    j.metadata, j.parent_run_id, j.reply_to, j.created_at, j.finished_at,
    j.entity, j.document, j.attributes,
    (select e.error from durable.engine_streams e
     where e.run_id = j.run_id and e.dead_lettered_at is not null order by e.id + 0 limit 1) as put_aside,
    durable.now() as now
from durable.jobs j
where j.scope = :app_id and j.jid between :jid and :jid and (j.state <> 'pending' or j.expires_at > durable.now())
order by j.jid desc, j.run_id desc limit 1

-- name: latest
-- The same of several ids, by one probe each, as it was before a run or message with the number `before`.
select j.run_id, j.jid, j.app_id, j.graph, j.graph_version, j.state, j.status, j.input, j.output, j.error,
    j.metadata, j.parent_run_id, j.reply_to, j.created_at, j.finished_at,
    j.entity, j.document, j.attributes,
    durable.now() as now
from unnest(:jids::text[]) as a(jid) cross join lateral (
    select * from durable.jobs o
    where o.scope = :app_id and o.jid between a.jid and a.jid and o.run_id < :before
      and (o.state <> 'pending' or o.expires_at > durable.now())
    order by o.jid desc, o.run_id desc limit 1) j
order by j.run_id desc

-- name: read
select j.run_id, j.jid, j.scope, j.app_id, j.graph, j.graph_version, j.state, j.status, j.input, j.output, j.error,
    j.metadata, j.parent_run_id, j.reply_to, j.created_at, j.finished_at,
    j.entity, j.document, j.attributes,
    durable.now() as now
from durable.jobs j where j.run_id = any(:run_ids::bigint[]) and (not :ended::boolean or j.finished_at is not null)

-- name: save
-- Every step counts a revision: a step taken from an older copy of the job is refused. By `= any(array[…])`: a join
-- by `=` may compare each job with each, where the plan was made while there were few.
update durable.jobs j
set revision = j.revision + 1, state = s.state, status = s.status, output = s.output::json, error = s.error::json,
    metadata = coalesce(s.metadata::json, j.metadata),
    finished_at = case when s.over then coalesce(j.finished_at, durable.now()) end,
    expires_at = case when not s.over then null when j.finished_at is not null then j.expires_at
        when x.expire > 0 then durable.now() + make_interval(secs => x.expire) end
from unnest(:jobs.*) as s(:jobs)
join durable.jobs o on o.run_id = any(array[s.run_id])
cross join lateral (
    select coalesce((coalesce(s.metadata::json, o.metadata) ->> 'expire')::float8, 1) as expire) x
where j.run_id = any(array[s.run_id])

-- name: instances
select a.run_id, a.dad, a.aid, a.open, a.replies, a.code, a.output, a.hook, a.error, a.opened_at, a.settled_at
from unnest(:addresses.*) as w(:addresses)
join durable.activities a on a.run_id = any(array[w.run_id]) and a.dad = any(array[w.dad])

-- name: history
-- Everything that the activities of a job did, in the order in which they were entered.
select a.run_id, a.dad, a.aid, a.open, a.replies, a.code, a.input, a.output, a.hook, a.error, a.opened_at, a.settled_at
from durable.activities a where a.run_id = :run_id order by a.opened_at, a.dad, a.aid

-- name: save_instances
insert into durable.activities as a
    (run_id, dad, aid, open, replies, code, input, output, hook, error, opened_at, settled_at)
select s.run_id, s.dad, s.aid, s.open, s.replies, s.code, s.input::json, s.output::json, s.hook::json,
    s.error::json, durable.now(), case when s.settled then durable.now() end
from unnest(:instances.*) as s(:instances)
on conflict (run_id, dad, aid) do update
set open = excluded.open, replies = excluded.replies, code = excluded.code, output = excluded.output,
    hook = excluded.hook, error = excluded.error, settled_at = excluded.settled_at

-- name: open_children
-- The jobs that these await and that are still running.
select c.run_id from unnest(:run_ids::bigint[]) as p(run_id) cross join lateral (
    select c.run_id from durable.jobs c where c.parent_run_id = p.run_id and c.finished_at is null offset 0) c

-- name: ended_since
-- The net beneath notifications: what ended in these graphs since a moment, by run, and what was emitted.
select f.run_id from (
    select j.run_id, j.finished_at as at from durable.jobs j
    where j.scope = :app_id and j.graph = any(:graphs::text[]) and j.finished_at >= :since
    union all
    select e.id, e.emitted_at from durable.emissions e join durable.jobs j on j.run_id = any(array[e.run_id])
    where j.scope = :app_id and j.graph = any(:graphs::text[]) and e.emitted_at >= :since) f
order by f.at

-- name: emit
insert into durable.emissions (run_id, status, output, emitted_at) values (:run_id, :status, :output::json, durable.now())
returning id

-- name: emitted
-- Jobs as they were when they emitted.
select j.run_id, j.jid, j.app_id, j.graph, j.graph_version, 'running' as state, e.status, j.input, e.output,
    null::json as error, j.metadata, j.parent_run_id, j.reply_to, j.created_at, null::timestamptz as finished_at,
    j.entity, null::jsonb as document, null::jsonb as attributes,
    e.emitted_at as now, e.id
from durable.emissions e join durable.jobs j on j.run_id = any(array[e.run_id])
where e.id = any(:ids::bigint[])

-- name: forget_passes
-- What activities did in the first passes of a cycle. The row of the ancestor's first leg stays: it counts.
delete from durable.activities a
where a.run_id = :run_id and (a.aid = any(:below::text[]) or (a.aid = :ancestor and a.dad <> :leg))
  and starts_with(a.dad, :prefix) and split_part(substr(a.dad, length(:prefix) + 1), ',', 1)::integer < :number
