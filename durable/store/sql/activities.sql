-- name: claim
-- Takes attempts of activities that this worker serves. The commit does not wait for the disk: a lost
-- claim loses nothing, but for an attempt that may not be repeated, and for those `flush` follows.
with recursive
-- include: unpaused(name = unpaused; names = :names::text[]),
-- include: due(stream = :queue; kind = 'activity'; before = durable.now() - :waiting * interval '1 s'; served = w.topic = any((select u.names from unpaused u)::text[]); allowed = true),
taken as (
    update durable.worker_streams w set reserved_by = :member, reserved_at = durable.now()
    from quick where w.id = any(array(select id from due))  -- an array: the planner expects few rows
    returning w.*
)
select id, jid, run_id, aid, topic, dad, workflow_name, message, metadata, priority, created_at, max_retry_attempts,
    backoff_coefficient::float8, maximum_interval_seconds::float8, initial_interval_seconds::float8,
    retry_attempt, losses, visible_at, reserved_at
from taken

-- name: flush
-- A claim of attempts that may not be repeated is on disk before user code runs, so that a crash can
-- never run them twice. What is no longer ours does not come back.
update durable.worker_streams set reserved_at = durable.now()
where id = any(:ids::bigint[]) and reserved_by = :member and expired_at is null
returning id

-- name: settle
-- Ends attempts for good, with a result or an error: the row goes (or stays expired, when it failed),
-- the answer goes to the run's inbox, and the wake row is pulled. Fenced by message, member and expiry.
-- Attempts come back with their runs; then, without one, the runs that were notified. Nothing is joined to
-- what was locked: of that a planner expects one row, and compares each with each.
with asked as (
    select * from unnest(:settlements.*) as a(:settlements)
), mine as (
    select m.id, m.run_id, m.dad, m.aid, m.retry_attempt, a.message, a.error
    from asked a join durable.worker_streams m on m.id = any(array[a.id])
    -- `is not distinct from`: no index serves it, else a plan may go through all that the member holds.
    where m.reserved_by is not distinct from :member and m.expired_at is null
    order by m.id + 0 for update of m
), gone as (
    delete from durable.worker_streams m using mine where m.id = any(array[mine.id]) and mine.error is null
), failed as (
    update durable.worker_streams m
    set expired_at = durable.now(), dead_lettered_at = durable.now(), reserved_by = null, error = mine.error::json
    from mine where m.id = any(array[mine.id]) and mine.error is not null
),
-- include: woken(told = mine),
told as (
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, error, retry_attempt, created_at, visible_at)
    select w.stream_name, w.workflow_name, w.jid, w.id, mine.aid, mine.dad, 'step', 'activity',
        mine.message::json, mine.error::json, mine.retry_attempt, durable.now(), durable.now()
    from mine
    cross join lateral (
        select w.id, w.stream_name, w.workflow_name, w.jid from durable.worker_streams w where w.id = mine.run_id limit 1
    ) w
    where mine.run_id in (select id from wake) is true
)
select mine.id, mine.run_id, null::bigint as reserved_by, null::text as stream_name from mine
union all
select null, w.id, w.reserved_by, w.stream_name from wake w

-- name: overdue
-- A limit of a step has come: an attempt that no worker has taken fails, and the run is told. Attempts that
-- run have their own clock; `schedule_to_start` is about the first one only.
with late as (
    select m.id, m.run_id, m.dad, m.aid, m.retry_attempt from durable.worker_streams m
    where m.run_id = :run_id and m.dad = :dad and m.msg_type = 'activity' and m.reserved_by is null
      and m.expired_at is null and (:kind = 'schedule_to_close' or m.retry_attempt = 0)
    for update
), failed as (
    update durable.worker_streams m
    set expired_at = durable.now(), dead_lettered_at = durable.now(), error = :error::json
    from late where m.id = any(array[late.id])
),
-- include: woken(told = late),
told as (
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, error, retry_attempt, created_at, visible_at)
    select w.stream_name, w.workflow_name, w.jid, w.id, late.aid, late.dad, 'step', 'activity',
        :error::json, late.retry_attempt, durable.now(), durable.now()
    from late join wake w on w.id = late.run_id
)
select w.id as run_id, w.reserved_by, w.stream_name from wake w

-- name: retry
-- The failed attempt stays, expired, with its error; the next is a new row, visible after its delay.
with asked as (
    select * from unnest(:failed.*) as a(:failed)
), failed as (
    update durable.worker_streams m
    set expired_at = durable.now(), reserved_by = null, error = a.error::json
    from asked a
    where m.id = any(array[a.id]) and m.reserved_by is not distinct from :member and m.expired_at is null
    returning m.*, a.delay
)
insert into durable.worker_streams (
    -- include: attempt(),
    message, metadata, losses, retry_attempt, visible_at)
select
    -- include: attempt(),
    message, metadata, losses, retry_attempt + 1, durable.now() + make_interval(secs => delay)
from failed
returning id, stream_name, visible_at

-- name: unclaim
-- A graceful stop gives back what never started or may be repeated, uncounted.
update durable.worker_streams m
set reserved_by = null, reserved_at = null, visible_at = durable.now()
where m.id = any(:ids::bigint[]) and m.reserved_by = :member and m.expired_at is null
returning m.stream_name

-- name: wanted
-- Those of these attempts whose results are no longer awaited.
select a.id from unnest(:ids::bigint[]) as a(id)
where not exists (
    select from durable.worker_streams m
    where m.id = any(array[a.id]) and m.reserved_by is not distinct from :member and m.expired_at is null)
