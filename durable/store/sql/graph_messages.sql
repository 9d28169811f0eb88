-- name: claim
-- What is due for the graphs of these apps. The rows stay locked until the step that consumes them commits,
-- so they need no lease. The first list of types is that of the index; what is not in the second was written by a
-- later version, and is left to its engines. A paused engine does not even look.
-- `unfinished`: the transaction that had locked the row before was rolled back: its engine died, hung or failed
-- over one of its messages. The row itself tells, as it was before it was locked: nothing else locks these
-- rows, so the field holds a plain number. A number that our snapshot does not know yet is counted, too.
with recursive
-- include: ranks(name = ranks; table = durable.engine_streams; stream = :app_id; kind = w.msg_type not in :for_runs),
due as (
    select d.* from ranks r cross join lateral (
        select e.id, e.stream_name, e.run_id, e.aid, e.dad, e.jid, e.msg_type, e.topic, e.message, e.losses,
            e.priority, e.visible_at, e.xmax::text::bigint as locker
        from durable.engine_streams e
        where e.stream_name = :app_id and e.msg_type not in :for_runs and e.priority = r.priority
          and e.reserved_by is null and e.expired_at is null and e.visible_at <= durable.now()
          and e.msg_type in ('interrupt', 'timehook', 'webhook', 'transition', 'result', 'outcome', 'response', 'fanout',
            'await', 'begin', 'abandon', 'terminate')
        order by e.visible_at -- as the index is, and no further: else a plan may take another index, and sort
        limit :limit for update of e skip locked
    ) d
    where (select t.ms from durable.throttle_v1(:app_id, null, :consumer) as t(ms)) >= 0
    limit :limit
)
select id, stream_name, run_id, aid, dad, jid, msg_type, topic, message, losses,
    (select t.ms from durable.throttle_v1(:app_id, null, :consumer) as t(ms)) as throttle,
    case when locker = 0 then false else (
        select case when back = 0 or back > 2147483648 then true when next < back then false
            else coalesce(pg_xact_status((next - back)::text::xid8) = 'aborted', false) end
        from (select n.next, ((n.next - locker) % 4294967296 + 4294967296) % 4294967296 as back
              from (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next) n) as distance
    ) end as unfinished,
    pg_backend_pid() as backend
from due order by priority desc, visible_at, id

-- name: suspect
-- Messages that an engine had and did not finish are applied alone from now on, and the `first` by us: it is
-- ours until we have, or are reaped, which counts as its loss.
update durable.engine_streams e set losses = greatest(e.losses, 1),
    reserved_by = case when e.id = :first then :member::bigint end,
    reserved_at = case when e.id = :first then durable.now() end
where e.id = any(:ids::bigint[])

-- name: release
-- What this member has reserved to apply it alone, and did not.
update durable.engine_streams e set reserved_by = null, reserved_at = null where e.reserved_by = :member

-- name: claim_these
-- A part of a batch that could not be applied as a whole; or what this member has reserved, to apply it alone.
select e.id, e.stream_name, e.run_id, e.aid, e.dad, e.jid, e.msg_type, e.topic, e.message, e.losses,
    0 as throttle, false as unfinished, pg_backend_pid() as backend
from durable.engine_streams e
where e.id = any(:ids::bigint[]) and e.reserved_by is not distinct from :member::bigint
  and coalesce(e.expired_at, 'infinity') = 'infinity'
  and e.visible_at <= durable.now()
order by e.priority desc, e.visible_at, e.id
for update of e skip locked

-- name: next_due
-- Seconds until the next message of the app is due, null when there is none, or none may be claimed. Never is left
-- out: before version 17 Postgres cannot subtract from it.
with recursive
-- include: ranks(name = ranks; table = durable.engine_streams; stream = :app_id; kind = w.msg_type not in :for_runs)
select extract(epoch from min(d.visible_at) filter (where d.visible_at < 'infinity') - durable.now())::float8
from ranks r cross join lateral (
    select e.visible_at from durable.engine_streams e
    where e.stream_name = :app_id and e.msg_type not in :for_runs and e.priority = r.priority
      and e.reserved_by is null and e.expired_at is null
      and e.msg_type in ('interrupt', 'timehook', 'webhook', 'transition', 'result', 'outcome', 'response', 'fanout',
            'await', 'begin', 'abandon', 'terminate')
    order by e.visible_at limit 1
) d
where (select t.ms from durable.throttle_v1(:app_id, null, :consumer) as t(ms)) >= 0

-- name: consume
-- What has a request id stays for a while, expired and without its contents: who sends it again meets it.
with answered as (
    update durable.engine_streams e set expired_at = durable.now(), message = null, reserved_by = null
    where e.id = any(:ids::bigint[]) and e.request_id is not null
)
delete from durable.engine_streams e where e.id = any(:ids::bigint[]) and e.request_id is null

-- name: dead_letter
-- A message that cannot be applied stays, with its error, out of everybody's way.
update durable.engine_streams e
set expired_at = durable.now(), dead_lettered_at = durable.now(), error = :error::json, reserved_by = null
where e.id = :message_id and e.expired_at is null
returning e.run_id

-- name: deliver_again
-- What an open job put aside goes back to the engines, as it came, and is counted anew. The first loss stays: it
-- is applied alone.
update durable.engine_streams e
set expired_at = null, dead_lettered_at = null, error = null, losses = 1, visible_at = durable.now()
where e.run_id = :run_id and e.dead_lettered_at is not null
returning e.id

-- name: send
insert into durable.engine_streams (
    stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, priority, created_at, visible_at)
select m.app_id, m.graph, m.jid, m.run_id, m.aid, m.dad, m.kind, m.topic, m.message::json, m.priority,
    durable.now(), durable.now() + make_interval(secs => m.delay)
from unnest(:messages.*) as m(:messages)

-- name: send_once
-- A message of a caller who may have sent it before. No row: it has.
insert into durable.engine_streams (
    stream_name, workflow_name, msg_type, topic, message, priority, request_id, created_at, visible_at)
values (:app_id, '', :kind, :topic, :message::json, :priority, :request, durable.now(), durable.now())
on conflict (request_id) where request_id is not null do nothing
returning id

-- name: requested
select e.id from durable.engine_streams e where e.request_id = :request

-- name: address
-- A signal has found its waiter: its message becomes one for the waiting activity.
update durable.engine_streams e
set run_id = a.run_id, dad = a.dad, aid = a.aid, reserved_by = null
from unnest(:signals.*) as a(:signals)
where e.id = any(array[a.id])

-- name: disarm
-- The timers of these activities, or all messages to whole runs (dad is null) but signals, which find another
-- waiter. What another engine has just claimed is skipped, not waited for (two engines could wait for each
-- other): it will find nobody who takes it.
delete from durable.engine_streams e
where e.id = any(array(
    select m.id from unnest(:timers.*) as a(:timers) cross join lateral (
        select m.id from durable.engine_streams m
        where m.run_id = a.run_id and m.expired_at is null
          and ((a.dad is null and m.msg_type <> 'webhook')
               or (m.dad = a.dad and m.aid = a.aid and m.msg_type = 'timehook'))
        for update skip locked) m))

-- name: dispatch
-- Work for the workers of a topic. `metadata` says whether the retry policy is the activity's own.
insert into durable.worker_streams (
    stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, metadata, created_at, visible_at,
    max_retry_attempts, backoff_coefficient, maximum_interval_seconds, initial_interval_seconds)
select w.stream_name, w.graph, w.jid, w.run_id, w.aid, w.dad, 'worker', w.topic, w.message::json, w.metadata::json,
    durable.now(), durable.now(), w.attempts, w.coefficient, w.longest, w.first
from unnest(:work.*) as w(:work)

-- name: withdraw
-- Work of jobs that have ended: what nobody does yet goes, what somebody does is refused when it answers.
-- A row that is being claimed or answered in this moment is skipped: its answer will find an ended job.
with open_work as materialized (
    select w.id, w.reserved_by from durable.worker_streams w
    where w.run_id = any(:run_ids::bigint[]) and w.msg_type = 'worker' and w.expired_at is null
    for update of w skip locked
), idle as (
    delete from durable.worker_streams w using open_work o where w.id = any(array[o.id]) and o.reserved_by is null
)
update durable.worker_streams w set expired_at = durable.now()
from open_work o where w.id = any(array[o.id]) and o.reserved_by is not null

-- name: take
-- A worker takes what is due on its stream. A worker's own policy applies where the activity has none;
-- the columns then say so. The commit does not wait for the disk: a lost claim loses nothing, and `flush`
-- follows for attempts that may not be repeated. A paused worker does not even look.
with recursive
-- include: due(stream = :stream; kind = 'worker'; before = durable.now(); served = true; allowed = (select t.ms from durable.throttle_v1(:app_id, :topic, :consumer) as t(ms)) >= 0),
taken as (
    -- By an array: a join may go through the whole table, where the planner thinks that much is due.
    update durable.worker_streams w
    set reserved_by = :member, reserved_at = durable.now(),
        max_retry_attempts = case when :attempts::integer is not null and (w.metadata ->> 'retry') is distinct from 'activity'
            then :attempts else w.max_retry_attempts end,
        backoff_coefficient = case when :attempts::integer is not null and (w.metadata ->> 'retry') is distinct from 'activity'
            then :coefficient::float8::numeric else w.backoff_coefficient end,
        maximum_interval_seconds = case when :attempts::integer is not null and (w.metadata ->> 'retry') is distinct from 'activity'
            then :longest::float8::numeric else w.maximum_interval_seconds end,
        initial_interval_seconds = case when :attempts::integer is not null and (w.metadata ->> 'retry') is distinct from 'activity'
            then :first::float8::numeric else w.initial_interval_seconds end
    from quick
    where w.id = any(array(select id from due))
    returning w.*
)
select id, run_id, jid, aid, dad, topic, workflow_name, message, metadata, retry_attempt, losses, max_retry_attempts,
    backoff_coefficient::float8, maximum_interval_seconds::float8, initial_interval_seconds::float8,
    (select t.ms from durable.throttle_v1(:app_id, :topic, :consumer) as t(ms)) as throttle
from taken order by priority desc, visible_at, id

-- name: flush
-- Puts the claim of attempts that may not be repeated on disk; what is no longer ours does not come back.
update durable.worker_streams w set reserved_at = durable.now()
where w.id = any(:ids::bigint[]) and w.reserved_by = :member and w.expired_at is null
returning w.id

-- name: answer
-- The attempt goes and its answer is on its way to the engine, in one statement: never the one without the
-- other. Fenced: a worker that lost the message, or whose job has ended, changes nothing.
with mine as (
    delete from durable.worker_streams w
    where w.id = :id and w.reserved_by = :member and w.expired_at is null
    returning w.run_id, w.jid, w.aid, w.dad, w.topic, w.workflow_name
)
-- include: response()

-- name: give_up
-- As `answer`, for an attempt that failed and has no successor: it stays, expired, with its error.
with mine as (
    update durable.worker_streams w
    set expired_at = durable.now(), dead_lettered_at = durable.now(), reserved_by = null, error = :error::json
    where w.id = :id and w.reserved_by = :member and w.expired_at is null
    returning w.run_id, w.jid, w.aid, w.dad, w.topic, w.workflow_name
)
-- include: response()

-- name: try_again
-- The failed attempt stays, expired, with its error; the next is a new row, visible after its delay, if the
-- job still runs.
with failed as (
    update durable.worker_streams w
    set expired_at = durable.now(), reserved_by = null, error = :error::json
    where w.id = :id and w.reserved_by = :member and w.expired_at is null
    returning w.*
)
insert into durable.worker_streams (
    -- include: attempt(),
    message, metadata, losses, retry_attempt, visible_at)
select
    -- include: attempt(),
    message, metadata, losses, retry_attempt + 1, durable.now() + make_interval(secs => :delay::float8)
from failed
where exists (select from durable.jobs j where j.run_id = any(array[failed.run_id]) and j.state = 'running')
returning id

-- name: give_back
-- A graceful stop returns what it did not finish, uncounted.
update durable.worker_streams w set reserved_by = null, reserved_at = null, visible_at = durable.now()
where w.id = any(:ids::bigint[]) and w.reserved_by = :member and w.expired_at is null
returning w.id

-- name: look_for_work
-- Seconds until the next message of a worker's stream is due, null when there is none, or none may be claimed;
-- and what a member holds of it, for it may not have heard of all.
with recursive
-- include: ranks(name = ranks; table = durable.worker_streams; stream = :stream; kind = w.msg_type = (select 'worker'))
select (
    select extract(epoch from min(d.visible_at) filter (where d.visible_at < 'infinity') - durable.now())::float8
    from ranks r cross join lateral (
        select w.visible_at from durable.worker_streams w
        where w.stream_name = :stream and w.msg_type = (select 'worker') and w.priority = r.priority
          and w.reserved_by is null and w.expired_at is null
        order by w.visible_at limit 1
    ) d
    where (select t.ms from durable.throttle_v1(:app_id, :topic, :consumer) as t(ms)) >= 0) as due,
    (select array_agg(w.id) from durable.worker_streams w
    where w.reserved_by = :member and w.stream_name = :stream and w.expired_at is null) as held

-- name: add
-- A further answer for an activity that stays open, from outside of any worker.
insert into durable.engine_streams (
    stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, priority, request_id, created_at,
    visible_at)
select j.app_id, j.graph, j.jid, j.run_id, :aid, :dad, 'response', null, :message::json, :priority, :request, durable.now(), durable.now()
from durable.jobs j where j.scope = :app_id and j.jid between :jid and :jid and j.state = 'running'
order by j.jid desc, j.run_id desc limit 1
on conflict (request_id) where request_id is not null do nothing
returning id
