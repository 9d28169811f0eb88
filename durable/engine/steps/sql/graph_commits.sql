-- name: begin
-- Starts jobs, with what their first step leads to: one statement for many, all of one app and on its active
-- version; after a switch to another version the statement writes no rows. Every job has a fresh id, free of conflicts;
-- the request id shows whether a start that is sent again, by us or by our caller, has happened. Work for a worker of
-- this process is reserved at once, unless a throttle concerns that worker.
with
-- include: free_slots(),
born as (
    insert into durable.jobs (
        run_id, jid, scope, app_id, graph, graph_version, status, request_id, input, output, metadata, reply_to, created_at)
    select nextval('durable.ids'), n.jid, :app_id, :app_id, n.graph, :version, n.status, n.request_id, n.input::json, n.output::json,
        n.metadata::json, case when n.reply_to is null then '{}' else array[n.reply_to] end, durable.now()
    from unnest(:starts.*) as n(:starts)
    where (select a.active_version from durable.apps a where a.app_id = :app_id) = :version
    on conflict do nothing
    returning run_id, jid, graph
), acts as (
    insert into durable.activities (
        run_id, dad, aid, open, replies, code, input, output, hook, error, opened_at, settled_at)
    select b.run_id, s.dad, s.aid, s.open, s.replies, s.code, s.input::json, s.output::json, s.hook::json,
        s.error::json, durable.now(), case when s.settled then durable.now() end
    from unnest(:instances_of::text[], :instances.*) as s(jid, :instances)
    join born b on b.jid = s.jid
),
-- include: work(graph = b.graph; jid = b.jid; run_id = b.run_id; step = born b on b.jid = w.jid),
sent as (
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, priority, created_at, visible_at)
    select m.app_id, m.graph, m.jid, case when m.run_id is not null then b.run_id end, m.aid, m.dad, m.kind, m.topic, m.message::json,
        m.priority, durable.now(), durable.now() + make_interval(secs => m.delay)
    from unnest(:messages_of::text[], :messages.*) as m(sender, :messages)
    join born b on b.jid = m.sender
)
select b.run_id, b.jid as word, null as dad, null::bigint as id, false as reserved, durable.now() as now from born b
union all
select w.run_id, w.aid, w.dad, w.id, w.reserved_by is not null, durable.now() from work w

-- name: begun
-- Which of these requests to start a job have happened.
select j.run_id, j.request_id, durable.now() as now from durable.jobs j where j.request_id = any(:requests::uuid[])

-- name: advance
-- Ends attempts with their answers, and takes the step of each one's job: one statement for many jobs. Each was
-- computed from the job as this process last wrote it. The statement skips a job that has been stepped since, is
-- being stepped, has lost its attempt to another process, or has a throttled engine.
with
-- include: free_slots(),
asked as materialized (
    select * from unnest(:steps.*) as s(:steps)
), free as materialized (
    -- One by one, as in `commit_batch`: a join may compare each with each, or go through the whole table.
    select a.* from asked a cross join lateral (
        select from durable.jobs j where j.run_id = a.run_id and j.revision = a.revision and j.state = 'running'
        for no key update skip locked
    ) j
    where (select t.ms from durable.throttle_v1(:app_id, null, :consumer) as t(ms)) = 0
), held as materialized (
    select f.* from free f
    where (select w.reserved_by from durable.worker_streams w
           where w.id = f.message and w.expired_at is null for update) = f.member
), passed as (
    delete from durable.worker_streams w using held h where w.id = any(array[h.message])
    returning h.run_id, h.revision, h.state, h.status, h.output, h.expire
), saved as (
    update durable.jobs j
    set revision = p.revision + 1, state = p.state, status = p.status, output = p.output::json,
        finished_at = case when p.state <> 'running' then durable.now() end,
        expires_at = durable.now() + make_interval(secs => p.expire)
    from passed p where j.run_id = any(array[p.run_id])
), acts as (
    insert into durable.activities as t (
        run_id, dad, aid, open, replies, code, input, output, hook, error, opened_at, settled_at)
    select s.run_id, s.dad, s.aid, s.open, s.replies, s.code, s.input::json, s.output::json, s.hook::json,
        s.error::json, durable.now(), case when s.settled then durable.now() end
    from unnest(:instances.*) as s(:instances)
    join passed p on p.run_id = s.run_id
    on conflict (run_id, dad, aid) do update
    set open = excluded.open, replies = excluded.replies, code = excluded.code, output = excluded.output,
        hook = excluded.hook, error = excluded.error, settled_at = excluded.settled_at
),
-- include: work(graph = w.graph; jid = w.jid; run_id = p.run_id; step = passed p on p.run_id = w.run_id),
sent as (
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, priority, created_at, visible_at)
    select m.app_id, m.graph, m.jid, m.run_id, m.aid, m.dad, m.kind, m.topic, m.message::json, m.priority,
        durable.now(), durable.now() + make_interval(secs => m.delay)
    from unnest(:messages_of::bigint[], :messages.*) as m(sender, :messages)
    join passed p on p.run_id = m.sender
)
select p.run_id, null as word, null as dad, null::bigint as id, false as reserved, durable.now() as now from passed p
union all
select w.run_id, w.aid, w.dad, w.id, w.reserved_by is not null, durable.now() from work w
