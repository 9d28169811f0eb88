-- name: join
insert into durable.members (member_id, name, host, pid, started_at, beat_at)
values (nextval('durable.ids'), :name, :host, :pid, durable.now(), clock_timestamp()) returning member_id

-- name: lock
-- Held by the session of the member's own connection: when the process dies, Postgres lets it go.
select pg_try_advisory_lock(:lock_class::int, (1 + :member::bigint % 2147483646)::int)

-- name: beat
-- Says "alive", and returns how far the database's clock is from ours. No row: declared dead.
update durable.members set beat_at = clock_timestamp()
where member_id = :member
returning extract(epoch from durable.now())::float8 as now

-- name: clock
-- Without a commit to wait for, so that the answer is quick.
select extract(epoch from durable.now())::float8

-- name: sweep
-- One statement a second of all members together. Whoever comes first in a second learns what there is to do
-- for everybody; the others only how many they are (`alike`: that serve the same queue). Losing the note of it costs another look.
-- `dead`: members whose lock is free and whose beat is overdue, or that have not beaten for a minute, of which
-- somebody watched the last part: a machine that was asleep as a whole wakes with every beat overdue. Within
-- ten seconds of a server's start nobody is dead: members need time to come back. And holders that are no
-- members any more: what they claimed in the moment of their reaped is held by nobody.
-- `due`: queues that hold something due, or soon: whose writer died before its notification, or whose time has
-- come while nobody held it. One probe for each queue, kind and priority, however much waits in them.
with recursive quick as materialized (
    select set_config('synchronous_commit', 'off', true), clock_timestamp() as at
), swept as (
    update durable.sweeps s set swept_at = quick.at,
        since = case when s.swept_at < quick.at - interval '5 s' then quick.at else s.since end,
        pruned_at = case when s.pruned_at < quick.at - interval '60 s' then quick.at else s.pruned_at end
    from quick where s.swept_at < quick.at - interval '0.9 s'
    returning s.pruned_at = quick.at as prunes, s.since
), holders as (
    select (select min(reserved_by) from durable.worker_streams where reserved_by is not null) as id
    union all
    select (select min(w.reserved_by) from durable.worker_streams w where w.reserved_by > h.id)
    from holders h where h.id is not null
), dead as (
    select m.member_id from durable.members m
    where pg_postmaster_start_time() < clock_timestamp() - interval '10 s'
      and ((m.beat_at < clock_timestamp() - interval '1.5 s'
            and not exists (select from pg_locks l where l.locktype = 'advisory' and l.granted
                            and l.database = (select oid from pg_database where datname = current_database())
                            and l.classid::bigint = :lock_class::bigint & 4294967295
                            and l.objid::bigint = 1 + m.member_id % 2147483646 and l.objsubid = 2))
           or (m.beat_at < clock_timestamp() - interval '60 s'
               and (select since from swept) < clock_timestamp() - interval '25 s'
               -- If it is most of them, it is not they who are dead: only a free lock is proof then.
               and (select 2 * count(*) filter (where o.beat_at < clock_timestamp() - interval '60 s') <= count(*)
                    from durable.members o)))
    union
    select h.id from holders h
    where h.id is not null and not exists (select from durable.members m where m.member_id = h.id)
    union
    select e.reserved_by from durable.engine_streams e
    where e.reserved_by is not null and not exists (select from durable.members m where m.member_id = e.reserved_by)
), kinds as (
    (select w.stream_name, w.msg_type from durable.worker_streams w
     where w.reserved_by is null and w.expired_at is null
     order by w.stream_name, w.msg_type limit 1)
    union all
    select n.stream_name, n.msg_type from kinds k cross join lateral (
        select w.stream_name, w.msg_type from durable.worker_streams w
        where w.reserved_by is null and w.expired_at is null
          and (w.stream_name, w.msg_type) > (k.stream_name, k.msg_type)
        order by w.stream_name, w.msg_type limit 1) n
), ranks as (
    select k.stream_name, k.msg_type,
        -- include: rank(table = durable.worker_streams; stream = k.stream_name; kind = w.msg_type = k.msg_type; below = true)
        as priority
    from kinds k
    union all
    select r.stream_name, r.msg_type,
        -- include: rank(table = durable.worker_streams; stream = r.stream_name; kind = w.msg_type = r.msg_type; below = w.priority < r.priority)
    from ranks r where r.priority is not null
), due as (
    -- Not `exists`, which older servers make a join with all that waits.
    select distinct r.stream_name, r.msg_type from ranks r cross join lateral (
        select from durable.worker_streams w
        where w.stream_name = r.stream_name and w.msg_type = r.msg_type and w.priority = r.priority
          and w.reserved_by is null and w.expired_at is null
          and w.visible_at <= durable.now() + interval '1.5 s'
        order by w.visible_at limit 1) d
)
select (select count(*) from durable.members) as members,
    -- Whoever was reaped, and has not heard of it, is in a line of its own.
    greatest(1, (select count(*) from durable.members o where o.name = m.name)) as alike,
    (select count(*) from durable.members o where o.name = m.name and o.member_id < m.member_id) as before,
    s.prunes,
    case when s.prunes is not null then array(select member_id from dead) end as dead,
    case when s.prunes is not null then array(select array[stream_name, msg_type] from due) end as due
from quick left join swept s on true left join durable.members m on m.member_id = :member

-- name: blame
-- The code of one run has taken this member's event loop for good: the reaped that follows counts it as a
-- loss (retry_attempt), and finds the reason there, should it be the tenth. Other runs are above suspicion, and
-- whoever takes them over is to get through with them before that code takes its loop too: the run (by a
-- retry_attempt of 2) and its attempts come later, after 1 s, then twice that each time, up to five minutes.
with others as (
    update durable.worker_streams set retry_attempt = 0
    where reserved_by = :member and msg_type = 'turn' and id <> :run_id and retry_attempt > 0
), attempts as (
    update durable.worker_streams
    set visible_at = durable.now() + make_interval(secs => least(300, power(2, least(losses, 20))))
    where reserved_by = :member and msg_type = 'activity' and run_id = :run_id
)
update durable.worker_streams set retry_attempt = 2, error = :error::json
where id = :run_id and reserved_by = :member and msg_type = 'turn'

-- name: end_transaction
-- Ends the session of a step that stands still, so that others get its rows; ours only, while it waits for us.
-- It has a second for that: what is locked still is freed by a later sweep.
select pg_terminate_backend(a.pid, 1000) from pg_stat_activity a
where a.pid = :backend and a.state = 'idle in transaction' and a.datname = current_database() and a.usename = current_user

-- name: reap
-- Takes from a dead member, or one that leaves, everything it held: runs and attempts that may be repeated
-- become visible again; an attempt that may not be repeated ends with "outcome unknown", and its run is notified.
-- Of one that is run again a copy stays, expired, with what may have happened, for people to see.
-- A run whose turn may have taken the process down (retry_attempt, until `survived`) counts that, and is
-- suspended at the tenth time.
-- The message that an engine was applying alone (`applied`) counts that as well: see `suspect`. As long as its
-- transaction stands open, somewhere, it is locked, and left to a later sweep.
with gone as (
    delete from durable.members where member_id = :member
), absent as (
    delete from durable.quorum where member_id = :member returning app_id, guid
), unthrottled as (
    delete from durable.throttles t
    where t.target = 'guid' and (t.name = (:member::bigint)::text
        or (t.app_id, t.name) in (select a.app_id, a.guid from absent a))
), applied as (
    update durable.engine_streams e set reserved_by = null, reserved_at = null, losses = e.losses + 1
    where e.id = any(array(
        select m.id from durable.engine_streams m where m.reserved_by = :member for update skip locked))
    returning e.stream_name
), lost as (
    select w.id, w.run_id, w.msg_type = 'turn' as turn, w.msg_type = 'turn' and w.retry_attempt = 2 as blamed,
        w.losses + case when w.msg_type = 'turn' then least(w.retry_attempt, 1) else 1 end as losses,
        w.msg_type <> 'turn' and (w.retry_attempt + 1 >= w.max_retry_attempts or w.losses >= 9) as last
    from durable.worker_streams w where w.reserved_by = :member
    order by w.id + 0 for update of w
), freed as (
    update durable.worker_streams w
    set reserved_by = null, reserved_at = null, losses = l.losses,
        visible_at = case when l.turn and l.losses >= 10 then 'infinity'
            when l.blamed then durable.now() + make_interval(secs => least(300, power(2, least(l.losses, 20) - 1)))
            when l.turn then durable.now() else greatest(w.visible_at, durable.now()) end
    from lost l where w.id = any(array[l.id]) and not l.last
    returning w.id, w.stream_name, w.msg_type, w.losses, w.error
), kept as (
    insert into durable.worker_streams (
        -- include: attempt(),
        visible_at, reserved_at, retry_attempt, losses, expired_at, error)
    select
        -- include: attempt(),
        visible_at, reserved_at, retry_attempt, losses_by_now, durable.now(), :lost::json
    from (
        select w.*, l.losses as losses_by_now from durable.worker_streams w join lost l on w.id = any(array[l.id])
        where not l.turn and not l.last and w.expired_at is null) ended
), suspended as (
    update durable.jobs j set state = 'suspended', error = coalesce(f.error, :deadly::json)
    from freed f where f.msg_type = 'turn' and f.losses >= 10 and j.run_id = any(array[f.id])
      and coalesce(j.finished_at, 'infinity') = 'infinity'
), unknown as (
    update durable.worker_streams w
    set reserved_by = null, expired_at = durable.now(), dead_lettered_at = durable.now(), losses = l.losses,
        error = :unknown::json
    from lost l where w.id = any(array[l.id]) and l.last
    returning w.*
), parent as (
    select k.id, k.reserved_by, k.visible_at, k.stream_name, u.aid, u.dad, u.error, u.jid, u.workflow_name,
        u.retry_attempt
    from unknown u join durable.worker_streams k on k.id = any(array[u.run_id])
    where u.msg_type = 'activity' and (k.id in (select l.id from lost l)) is not true
    order by k.id + 0 for no key update of k
), orphan as (
    select u.run_id as id, u.aid, u.dad, u.error, u.jid, u.workflow_name, u.stream_name, u.retry_attempt
    from unknown u
    where u.msg_type = 'activity' and exists (select from freed f where f.id = u.run_id)
), told as (
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, error, retry_attempt, created_at, visible_at)
    select t.stream_name, t.workflow_name, t.jid, t.id, t.aid, t.dad, 'step', 'activity', t.error, t.retry_attempt,
        durable.now(), durable.now()
    from (select id, aid, dad, error, jid, workflow_name, stream_name, retry_attempt from parent
          union all select id, aid, dad, error, jid, workflow_name, stream_name, retry_attempt from orphan) t
), told_graph as (
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, priority, created_at, visible_at)
    select j.app_id, u.workflow_name, u.jid, u.run_id, u.aid, u.dad, 'response', u.topic,
        json_build_object('status', 'error', 'code', 500, 'error',
            json_build_object('code', 500, 'message', u.error ->> 'message', 'job_id', u.jid)),
        2, durable.now(), durable.now()
    from unknown u join durable.jobs j on j.run_id = any(array[u.run_id]) where u.msg_type = 'worker'
), pulled as (
    update durable.worker_streams k set visible_at = durable.now() from parent p
    where k.id = any(array[p.id]) and p.reserved_by is null and p.visible_at > durable.now()
)
select 'queue' as what, f.stream_name as word, f.msg_type, null::bigint as id from (select distinct stream_name, msg_type from freed) f
union all
select 'holder', null, null, p.reserved_by from (select distinct reserved_by from parent where reserved_by is not null) p
union all
select 'queue', p.stream_name, 'turn', null from (select distinct stream_name from parent where reserved_by is null) p
union all
select 'engine', a.stream_name, null, null from applied a

-- name: tidy
-- Inbox rows that arrived in the very moment in which their run ended.
update durable.engine_streams e set expired_at = durable.now()
where e.expired_at is null and e.msg_type in :for_runs
  and e.created_at < durable.now() - interval '5 s'
  and not exists (select from durable.worker_streams w where w.id = any(array[e.run_id]))
