-- name: join
insert into durable.members (member_id, name, host, pid, started_at, beat_at)
values (nextval('durable.ids'), $1, $2, $3, durable.now(), clock_timestamp()) returning member_id

-- name: lock
-- Held by the session of the member's own connection: when the process dies, Postgres lets it go.
select pg_try_advisory_lock($1::int, ($2::bigint % 2147483647)::int)

-- name: beat
-- Says "alive", and tells how far the database's clock is from ours. No row: declared dead.
update durable.members set beat_at = clock_timestamp()
where member_id = $1
returning extract(epoch from durable.now())::float8 as now

-- name: elect
-- Waits, without statements, until no other sweeper is left.
select pg_advisory_lock($1::int, 0)

-- name: dead
-- Members whose lock is free and whose beat is overdue, or that have not beaten for a minute. Within ten
-- seconds of a server's start nobody is dead: members need time to come back.
select m.member_id, m.name from durable.members m
where pg_postmaster_start_time() < clock_timestamp() - interval '10 s'
  and ((m.beat_at < clock_timestamp() - interval '1.5 s'
        and not exists (select from pg_locks l where l.locktype = 'advisory' and l.granted
                        and l.database = (select oid from pg_database where datname = current_database())
                        and l.classid::bigint = $1 and l.objid::bigint = m.member_id % 2147483647 and l.objsubid = 2))
       or m.beat_at < clock_timestamp() - interval '60 s')

-- name: bury
-- Takes from a dead member, or one that leaves, everything it held: runs and attempts that may be repeated become visible
-- again; an attempt that may not be repeated ends with "outcome unknown", and its run is told.
with gone as (
    delete from durable.members where member_id = $1 returning member_id
), lost as (
    select w.id, w.msg_type, w.run_id, w.retry_attempt + 1 >= w.max_retry_attempts and w.msg_type <> 'turn' as last, w.losses
    from durable.worker_streams w join gone g on w.reserved_by = g.member_id
    order by w.id for update of w
), freed as (
    update durable.worker_streams w
    set reserved_by = null, reserved_at = null, visible_at = durable.now(), losses = w.losses + 1
    from lost l where w.id = l.id and not l.last and (w.msg_type = 'turn' or l.losses < 9)
    returning w.id, w.stream_name, w.msg_type
), unknown as (
    update durable.worker_streams w
    set reserved_by = null, expired_at = durable.now(), dead_lettered_at = durable.now(), losses = w.losses + 1,
        error = $2::json
    from lost l where w.id = l.id and (l.last or (w.msg_type <> 'turn' and l.losses >= 9))
    returning w.*
), parent as (
    select k.id, k.reserved_by, k.visible_at, k.stream_name, u.aid, u.dad, u.error, u.jid, u.workflow_name
    from unknown u join durable.worker_streams k on k.id = u.run_id
    where u.msg_type = 'activity' and not exists (select from lost l where l.id = k.id)
    order by k.id for no key update of k
), orphan as (
    select u.run_id as id, u.aid, u.dad, u.error, u.jid, u.workflow_name, u.stream_name from unknown u
    where u.msg_type = 'activity' and exists (select from freed f where f.id = u.run_id)
), told as (
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, error, created_at, visible_at)
    select t.stream_name, t.workflow_name, t.jid, t.id, t.aid, t.dad, 'step', 'activity', t.error, durable.now(), durable.now()
    from (select id, aid, dad, error, jid, workflow_name, stream_name from parent
          union all select id, aid, dad, error, jid, workflow_name, stream_name from orphan) t
), pulled as (
    update durable.worker_streams k set visible_at = durable.now() from parent p
    where k.id = p.id and p.reserved_by is null and k.visible_at > durable.now()
)
select 'queue' as what, f.stream_name as word, f.msg_type, null::bigint as id from (select distinct stream_name, msg_type from freed) f
union all
select 'holder', null, null, p.reserved_by from (select distinct reserved_by from parent where reserved_by is not null) p
union all
select 'queue', p.stream_name, 'turn', null from (select distinct stream_name from parent where reserved_by is null) p
union all
select 'gone', null, null, member_id from gone

-- name: tidy
-- Inbox rows that arrived in the very moment in which their run ended.
update durable.engine_streams e set expired_at = durable.now()
where e.expired_at is null and e.msg_type in ('step', 'signal', 'cancel')
  and e.created_at < durable.now() - interval '5 s'
  and not exists (select from durable.worker_streams w where w.id = e.run_id)
