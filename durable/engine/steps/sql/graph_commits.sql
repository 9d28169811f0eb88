-- name: begin
-- Starts jobs, with what their first step leads to: one statement for many, all of one app and on its active
-- version ($2): were another one active by now, nothing happens. Every job has a fresh id, so none is taken; the
-- request id tells whether a start that is sent again, by us or by our caller, has happened. Work for a worker of this process is
-- reserved at once, unless a throttle concerns that worker.
with seats as materialized (
    select s.stream_name, s.member
    from unnest($3::text[], $4::text[], $5::text[], $6::bigint[]) as s(stream_name, topic, consumer, member)
    cross join lateral durable.throttle_v1($1, s.topic, s.consumer) as t(ms)
    where t.ms = 0
), born as (
    insert into durable.jobs (
        run_id, jid, scope, app_id, graph, graph_version, status, request_id, input, output, metadata, reply_to, created_at)
    select nextval('durable.ids'), n.jid, $1, $1, n.graph, $2, n.status, n.request_id, n.input::json, n.output::json,
        n.metadata::json, case when n.reply_to is null then '{}' else array[n.reply_to] end, durable.now()
    from unnest($7::text[], $8::text[], $9::bigint[], $10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[])
        as n(jid, graph, status, request_id, input, output, metadata, reply_to)
    where (select a.active_version from durable.apps a where a.app_id = $1) = $2
    on conflict do nothing
    returning run_id, jid, graph
), acts as (
    insert into durable.activities (
        run_id, dad, aid, open, replies, code, input, output, hook, error, opened_at, settled_at)
    select b.run_id, s.dad, s.aid, s.open, s.replies, s.code, s.input::json, s.output::json, s.hook::json,
        s.error::json, durable.now(), case when s.settled then durable.now() end
    from unnest($15::text[], $16::text[], $17::text[], $18::boolean[], $19::integer[], $20::integer[], $21::text[],
        $22::text[], $23::text[], $24::text[], $25::boolean[])
        as s(jid, dad, aid, open, replies, code, input, output, hook, error, settled)
    join born b on b.jid = s.jid
), work as (
    insert into durable.worker_streams (
        stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, metadata, created_at, visible_at,
        max_retry_attempts, backoff_coefficient, maximum_interval_seconds, initial_interval_seconds,
        reserved_by, reserved_at)
    select w.stream_name, b.graph, b.jid, b.run_id, w.aid, w.dad, 'worker', w.topic, w.message::json, w.metadata::json,
        durable.now(), durable.now(), w.attempts, w.coefficient, w.longest, w.first, k.member,
        case when k.member is not null then durable.now() end
    from unnest($26::text[], $27::text[], $28::text[], $29::text[], $30::text[], $31::text[], $32::text[],
        $33::integer[], $34::float8[], $35::float8[], $36::float8[], $37::boolean[])
        as w(jid, stream_name, aid, dad, topic, message, metadata, attempts, coefficient, longest, first, seated)
    join born b on b.jid = w.jid
    left join seats k on w.seated and k.stream_name = w.stream_name
    returning id, run_id, aid, dad, reserved_by
), sent as (
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, priority, created_at, visible_at)
    select $1, m.graph, m.jid, case when m.own then b.run_id end, m.aid, m.dad, m.msg_type, m.topic, m.message::json,
        m.priority, durable.now(), durable.now() + make_interval(secs => m.delay)
    from unnest($38::text[], $39::text[], $40::text[], $41::boolean[], $42::text[], $43::text[], $44::text[],
        $45::text[], $46::text[], $47::smallint[], $48::float8[])
        as m(of_jid, graph, jid, own, aid, dad, msg_type, topic, message, priority, delay)
    join born b on b.jid = m.of_jid
)
select b.run_id, b.jid as word, null as dad, null::bigint as id, false as reserved, durable.now() as now from born b
union all
select w.run_id, w.aid, w.dad, w.id, w.reserved_by is not null, durable.now() from work w

-- name: begun
-- Which of these requests to start a job have happened.
select j.run_id, j.request_id, durable.now() as now from durable.jobs j where j.request_id = any($1::uuid[])

-- name: advance
-- Ends attempts with their answers, and takes the step of each one's job: one statement for many jobs. Each was
-- computed from the job as this process last wrote it; a job that anybody has stepped since ($8), that is being
-- stepped, whose attempt is no longer ours, or whose engine is throttled, passes with nothing of it.
with seats as materialized (
    select s.stream_name, s.member
    from unnest($3::text[], $4::text[], $5::text[], $6::bigint[]) as s(stream_name, topic, consumer, member)
    cross join lateral durable.throttle_v1($1, s.topic, s.consumer) as t(ms)
    where t.ms = 0
), asked as materialized (
    select * from unnest($7::bigint[], $8::integer[], $9::bigint[], $10::bigint[], $11::text[], $12::bigint[],
        $13::text[], $14::float8[])
        as s(run_id, revision, message, member, state, status, output, expire)
), free as materialized (
    -- One by one, as in `commit_batch`: a join may compare each with each, or go through the whole table.
    select a.* from asked a cross join lateral (
        select from durable.jobs j where j.run_id = a.run_id and j.revision = a.revision and j.state = 'running'
        for no key update skip locked
    ) j
    where (select t.ms from durable.throttle_v1($1, null, $2) as t(ms)) = 0
), held as materialized (
    select f.* from free f
    where (select w.reserved_by from durable.worker_streams w
           where w.id = f.message and w.expired_at is null for update) = f.member
), passed as (
    delete from durable.worker_streams w using held h where w.id = h.message
    returning h.run_id, h.revision, h.state, h.status, h.output, h.expire
), saved as (
    update durable.jobs j
    set revision = p.revision + 1, state = p.state, status = p.status, output = p.output::json,
        finished_at = case when p.state <> 'running' then durable.now() end,
        expires_at = durable.now() + make_interval(secs => p.expire)
    from passed p where j.run_id = p.run_id
), acts as (
    insert into durable.activities as t (
        run_id, dad, aid, open, replies, code, input, output, hook, error, opened_at, settled_at)
    select s.run_id, s.dad, s.aid, s.open, s.replies, s.code, s.input::json, s.output::json, s.hook::json,
        s.error::json, durable.now(), case when s.settled then durable.now() end
    from unnest($15::bigint[], $16::text[], $17::text[], $18::boolean[], $19::integer[], $20::integer[], $21::text[],
        $22::text[], $23::text[], $24::text[], $25::boolean[])
        as s(run_id, dad, aid, open, replies, code, input, output, hook, error, settled)
    join passed p on p.run_id = s.run_id
    on conflict (run_id, dad, aid) do update
    set open = excluded.open, replies = excluded.replies, code = excluded.code, output = excluded.output,
        hook = excluded.hook, error = excluded.error, settled_at = excluded.settled_at
), work as (
    insert into durable.worker_streams (
        stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, metadata, created_at, visible_at,
        max_retry_attempts, backoff_coefficient, maximum_interval_seconds, initial_interval_seconds,
        reserved_by, reserved_at)
    select w.stream_name, w.graph, w.jid, p.run_id, w.aid, w.dad, 'worker', w.topic, w.message::json, w.metadata::json,
        durable.now(), durable.now(), w.attempts, w.coefficient, w.longest, w.first, k.member,
        case when k.member is not null then durable.now() end
    from unnest($26::bigint[], $27::text[], $28::text[], $29::text[], $30::text[], $31::text[], $32::text[],
        $33::text[], $34::text[], $35::integer[], $36::float8[], $37::float8[], $38::float8[], $39::boolean[])
        as w(run_id, stream_name, graph, jid, aid, dad, topic, message, metadata, attempts, coefficient, longest,
            first, seated)
    join passed p on p.run_id = w.run_id
    left join seats k on w.seated and k.stream_name = w.stream_name
    returning id, run_id, aid, dad, reserved_by
), sent as (
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, priority, created_at, visible_at)
    select $1, m.graph, m.jid, m.run_id, m.aid, m.dad, m.msg_type, m.topic, m.message::json, m.priority,
        durable.now(), durable.now() + make_interval(secs => m.delay)
    from unnest($40::bigint[], $41::text[], $42::text[], $43::bigint[], $44::text[], $45::text[], $46::text[],
        $47::text[], $48::text[], $49::smallint[], $50::float8[])
        as m(of_run, graph, jid, run_id, aid, dad, msg_type, topic, message, priority, delay)
    join passed p on p.run_id = m.of_run
)
select p.run_id, null as word, null as dad, null::bigint as id, false as reserved, durable.now() as now from passed p
union all
select w.run_id, w.aid, w.dad, w.id, w.reserved_by is not null, durable.now() from work w
