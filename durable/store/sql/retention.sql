-- name: policies
-- Stored policies; a scope without a row has the defaults that `retention_v1` names.
select r.scope, r.completed_seconds, r.failed_seconds from durable.retention r where r.scope = :scope

-- name: keep
-- The latest one counts, in every process; one that says the same writes nothing.
insert into durable.retention as r (scope, completed_seconds, failed_seconds, set_at)
values (:scope, :completed, :failed, durable.now())
on conflict (scope) do update
set completed_seconds = excluded.completed_seconds, failed_seconds = excluded.failed_seconds, set_at = excluded.set_at
where (r.completed_seconds, r.failed_seconds) is distinct from (excluded.completed_seconds, excluded.failed_seconds)

-- name: count
-- How much there is to prune, counted up to `limit` of each kind: 1 asks whether there is any.
with recursive ages as materialized (
    select r.scope, r.completed, durable.now() - make_interval(secs => r.seconds) as before
    from durable.retention_v1(:older_than, :keep::text[], :app_id) r
),
-- include: ended_states(),
messages as (
    select a.before from ages a where not a.completed and a.scope = coalesce(:app_id, '')
)
-- Each probe has an order and a limit of its own, so that it goes by the index, whatever the planner expects.
select
    (select count(*) from (
        select from ages a join states s on (s.state = 'completed') = a.completed
        cross join lateral (
            select from durable.jobs j where j.scope = '' and j.state = s.state and j.finished_at <= a.before
            order by j.finished_at limit :limit) d
        where a.scope = '' limit :limit) d) as runs,
    (select count(*) from (
        select from ages a cross join lateral (
            select from durable.jobs j
            where j.scope = a.scope and (j.state = 'completed') = a.completed and j.expires_at <= a.before
            order by j.expires_at limit :limit) d
        where a.scope <> '' limit :limit) d) as jobs,
    (select count(*) from messages a cross join lateral (
        select from durable.worker_streams w
        where w.expired_at <= a.before and :streams and (:app_id is null or starts_with(w.stream_name, :app_id || ':'))
        order by w.expired_at limit :limit) d)
    + (select count(*) from messages a cross join lateral (
        select from durable.engine_streams e
        where e.expired_at <= a.before and :streams and (:app_id is null or e.stream_name = :app_id)
        order by e.expired_at limit :limit) d) as messages,
    (select count(distinct d.signal_id) from messages a cross join lateral (
        select e.signal_id from durable.early_signals e
        where e.created_at <= a.before and :streams and (:app_id is null or e.app_id = :app_id)
        order by e.created_at limit :limit) d) as signals

-- name: runs
-- Runs of functions whose time is over, the oldest of each outcome, locked until commit. Who holds one is not
-- waited for: another pruning has it. `states` finds the ways in which runs have ended by one probe each.
-- Runs of long histories make a smaller batch: beyond `facts` no further run is taken.
with recursive
-- include: ended_states(),
old as (
    select d.run_id, d.revision, d.finished_at
    from durable.retention_v1(:older_than, :keep::text[], :app_id) r
    join states s on (s.state = 'completed') = r.completed
    cross join lateral (
        select j.run_id, j.revision, j.finished_at from durable.jobs j
        where j.scope = '' and j.state = s.state and j.finished_at <= durable.now() - make_interval(secs => r.seconds)
        order by j.finished_at limit :limit for update skip locked) d
    where r.scope = ''
)
select x.run_id from (
    select o.run_id, row_number() over w as place, sum(o.revision) over w - o.revision as facts from old o
    window w as (order by o.finished_at, o.run_id)) x
where x.place <= :limit and x.facts < :facts
order by x.run_id

-- name: jobs
-- Jobs of graphs whose time is over since so many seconds. Those that are being stepped wait for the next look.
select d.run_id from durable.retention_v1(:older_than, :keep::text[], :app_id) r cross join lateral (
    select j.run_id from durable.jobs j
    where j.scope = r.scope and (j.state = 'completed') = r.completed
      and j.expires_at <= durable.now() - make_interval(secs => r.seconds)
    order by j.expires_at limit :limit for update skip locked) d
where r.scope <> ''
limit :limit

-- name: forget
-- A run leaves with all that belongs to it, messages and dead letters included.
with gone as (
    delete from durable.jobs j where j.run_id = any(:run_ids::bigint[]) returning j.run_id
), facts as (
    delete from durable.history h using gone g where h.run_id = g.run_id
), acts as (
    delete from durable.activities a using gone g where a.run_id = g.run_id
), waits as (
    delete from durable.hooks h using gone g where h.run_id = g.run_id
), told as (
    delete from durable.emissions e using gone g where e.run_id = g.run_id
), indexed as (
    delete from durable.job_stats i using gone g where i.run_id = g.run_id and i.kind = 'index'
), parked as (
    delete from durable.early_signals s using gone g where s.run_id = g.run_id
), messages as (
    delete from durable.engine_streams m using gone g where m.run_id = g.run_id and m.expired_at is null
), letters as (
    delete from durable.engine_streams m using gone g where m.run_id = g.run_id and m.expired_at is not null
), work as (
    delete from durable.worker_streams w using gone g where w.run_id = g.run_id and w.msg_type = 'worker'
), attempts as (
    delete from durable.worker_streams w using gone g where w.run_id = g.run_id and w.msg_type = 'activity'
)
select count(*) from gone

-- name: messages
-- Expired rows of the streams, whether their run has ended or not: failed attempts, dead letters, what nobody read.
with
-- include: age(),
work as (
    delete from durable.worker_streams w where w.id = any(array(
        select x.id from durable.worker_streams x, age
        where x.expired_at <= age.before and (:app_id is null or starts_with(x.stream_name, :app_id || ':'))
        order by x.expired_at limit :limit for update of x skip locked))
    returning w.id
), inbox as (
    delete from durable.engine_streams e where e.id = any(array(
        select x.id from durable.engine_streams x, age
        where x.expired_at <= age.before and (:app_id is null or x.stream_name = :app_id)
        order by x.expired_at limit :limit for update of x skip locked))
    returning e.id
), receipts as (
    -- What is left of signals and answers whose senders chose no request id: their own begin with the time, and
    -- nobody sends one again after an hour.
    delete from durable.engine_streams e where e.id = any(array(
        select x.id from durable.engine_streams x
        where x.request_id < (lpad(to_hex((extract(epoch from durable.now() - interval '1 hour') * 1000)::bigint),
                12, '0') || repeat('0', 20))::uuid
          and x.request_id is not null and x.expired_at is not null and x.dead_lettered_at is null
          and (:app_id is null or x.stream_name = :app_id)
        order by x.request_id limit :limit for update of x skip locked))
      and not exists (select from inbox i where i.id = e.id)
    returning e.id
)
select (select count(*) from work) + (select count(*) from inbox) + (select count(*) from receipts)

-- name: signals
-- Early signals that never found a waiter, each with its rows for other rules.
with
-- include: age(),
gone as (
    delete from durable.early_signals e where e.signal_id = any(array(
        select x.signal_id from durable.early_signals x, age
        where x.created_at <= age.before and (:app_id is null or x.app_id = :app_id)
        order by x.created_at limit :limit for update of x skip locked))
    returning e.signal_id
)
select count(distinct signal_id) from gone
