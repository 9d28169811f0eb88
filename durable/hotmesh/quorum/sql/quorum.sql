-- name: join
-- The same consumer may come back as another member.
insert into durable.quorum (guid, member_id, app_id, topic, joined_at)
select c.guid, :member, :app_id, c.topic, durable.now()
from unnest(:consumers.*) as c(:consumers)
on conflict (guid) do update set member_id = excluded.member_id

-- name: leave
-- With the throttles that name these consumers: their guids are never used again.
with gone as (
    delete from durable.quorum q where q.guid = any(:guids::text[]) returning q.app_id, q.guid
)
delete from durable.throttles t using gone g
where t.app_id = g.app_id and t.target = 'guid' and t.name = g.guid

-- name: present
-- Who takes part and is alive: Postgres lets a member's lock go when its process dies. With what waits for each.
select q.guid, q.topic, m.member_id, m.host, m.pid, extract(epoch from q.joined_at)::float8 as joined_at,
    t.ms as throttle, extract(epoch from durable.now())::float8 as seen_at
from durable.quorum q
join durable.members m on m.member_id = q.member_id
cross join lateral durable.throttle_v1(q.app_id, q.topic, q.guid) as t(ms)
where q.app_id = :app_id
  and exists (select from pg_locks l where l.locktype = 'advisory' and l.granted
              and l.database = (select oid from pg_database where datname = current_database())
              and l.classid::bigint = :lock_class::bigint & 4294967295
              and l.objid::bigint = 1 + m.member_id % 2147483646 and l.objsubid = 2)
order by q.topic nulls first, q.joined_at, q.guid

-- name: function_workers
-- Workers that serve functions of the task queue with the app's name and are alive, with how many runs each holds, and
-- how many of these a throttle pauses. `answers`: its last beat is not overdue, so that its process is not stopped.
select m.member_id, m.host, m.pid, m.app_version as version, extract(epoch from m.started_at)::float8 as joined_at,
    extract(epoch from m.beat_at)::float8 as seen_at,
    m.beat_at > clock_timestamp() - make_interval(secs => case when r.runs > 0 then :busy::float8 else :idle::float8 end) as answers,
    r.runs, r.paused, t.ms as throttle
from durable.members m
cross join lateral durable.throttle_v1(m.app_id, '', m.member_id::text) as t(ms)
cross join lateral (
    select count(*) as runs, count(*) filter (where (
        select x.ms from durable.throttle_v1(m.app_id, w.workflow_name, m.member_id::text) as x(ms)) < 0) as paused
    from durable.worker_streams w where w.reserved_by = m.member_id and w.msg_type = 'turn') r
where m.app_id = :app_id
  and exists (select from pg_locks l where l.locktype = 'advisory' and l.granted
              and l.database = (select oid from pg_database where datname = current_database())
              and l.classid::bigint = :lock_class::bigint & 4294967295
              and l.objid::bigint = 1 + m.member_id % 2147483646 and l.objsubid = 2)
order by m.member_id

-- name: claiming
-- The transactions in which something may be claimed by what was there before a throttle: Postgres locks the table
-- before it takes a statement's snapshot, and keeps the lock until the transaction ends.
select distinct l.virtualtransaction from pg_locks l
where l.locktype = 'relation' and l.relation = 'durable.worker_streams'::regclass and l.mode = 'RowExclusiveLock'
  and l.database = (select oid from pg_database where datname = current_database())

-- name: due
-- Runs and attempts of functions that wait for a worker.
select count(*) from durable.worker_streams w
where w.stream_name = :app_id and w.msg_type in ('turn', 'activity') and w.visible_at <= durable.now()
  and w.reserved_by is null and w.expired_at is null

-- name: depths
-- What waits, by topic; null is the engines'.
select null::text as topic, count(*) as depth from durable.engine_streams e
where e.stream_name = :app_id and e.msg_type not in :for_runs
  and e.reserved_by is null and e.expired_at is null
union all
select w.topic, count(*) from durable.worker_streams w
where w.stream_name = any(:streams::text[]) and w.msg_type = 'worker' and w.reserved_by is null and w.expired_at is null
group by w.topic

-- name: deployed
select true from durable.app_versions v where v.app_id = :app_id and v.version = :version and not v.generated

-- name: known_topics
-- Of workers, also of those that have died; of throttles that were set; and the one in question where work waits for it.
select q.topic from durable.quorum q where q.app_id = :app_id and q.topic is not null
union select t.name from durable.throttles t where t.app_id = :app_id and t.target = 'topic'
union select :topic::text where exists (select from durable.worker_streams w
    where w.stream_name = :app_id and w.expired_at is null
      and :topic = case w.msg_type when 'turn' then w.workflow_name when 'activity' then w.topic end)

-- name: descriptors
-- The hand-written ones; of those made from functions the ones that workers serve, and the latest.
select v.descriptor from durable.app_versions v
where v.app_id = :app_id and (not v.generated
    or v.version in (select m.app_version from durable.members m where m.app_id = :app_id)
    or v.version in (select g.version from durable.app_versions g where g.app_id = :app_id and g.generated
                     order by g.deployed_at desc limit 1))
order by v.deployed_at desc

-- name: post
-- Who speaks clears away what everybody has read.
with stale as (
    delete from durable.quorum_messages m
    where m.app_id = :app_id and m.sent_at < durable.now() - interval '60 s'
)
insert into durable.quorum_messages (app_id, sender, message, sent_at)
values (:app_id, :sender, :message::json, durable.now()) returning id

-- name: read
-- Not what is left of older ones: a notification, which anybody may send, brings none of them back.
select m.id, m.message from durable.quorum_messages m
where m.app_id = :app_id and m.id = any(:ids::bigint[]) and m.answers is null
  and m.sent_at > durable.now() - interval '60 s'
order by m.id

-- name: lately
-- After notifications may have been lost.
select m.id from durable.quorum_messages m
where m.app_id = :app_id and m.sent_at > durable.now() - interval '10 s' and m.answers is null

-- name: answer
insert into durable.quorum_messages (app_id, sender, answers, message, sent_at)
select :app_id, a.sender, :message_id, a.message::json, durable.now()
from unnest(:answers.*) as a(:answers)

-- name: answers
select m.sender, m.message from durable.quorum_messages m where m.answers = :message_id order by m.id

-- name: narrow
-- A throttle puts those within it out of force.
delete from durable.throttles t
where t.app_id = :app_id and case :target::text
    when 'all' then true
    when 'workers' then t.target = 'topic' or t.target = 'guid' and exists (
        select from durable.quorum q where q.guid = t.name and q.topic is not null)
    when 'engines' then t.target = 'guid' and exists (
        select from durable.quorum q where q.guid = t.name and q.topic is null)
    when 'topic' then t.target = 'guid' and exists (
        select from durable.quorum q where q.guid = t.name and q.topic = :name)
    else false end

-- name: set
insert into durable.throttles (app_id, target, name, throttle, set_at)
values (:app_id, :target, :name, :throttle, durable.now())
on conflict (app_id, target, name) do update set throttle = excluded.throttle, set_at = excluded.set_at
