-- name: commit_step
-- The most frequent commit: one fact of one run, in one round trip. The update itself locks the job row; the wake
-- row names the member that holds the run, the job row its claim; the fact is written only if all agree.
with passed as (
    update durable.jobs j
    set revision = :expected + 1, issued = greatest(j.issued, :issued), token = :token, status = :status
    where j.run_id = :run_id and j.revision = :expected and j.hold = :hold
      and exists (select from durable.worker_streams w where w.id = :run_id and w.reserved_by = :member)
    returning j.run_id
)
insert into durable.history (run_id, revision, kind, number, at, name, data, failure, input)
select run_id, :expected + 1, :kind::text, :number::int, :at::timestamptz, :name::text, :data::json, :failure::json, :input::json from passed
returning run_id

-- name: commit_end
-- The last turn of a run without a parent, open steps and messages of its own. It is the short form of
-- `commit_batch`, which decides when this one returns no row.
with passed as (
    update durable.jobs j
    set revision = :expected + :count, issued = greatest(j.issued, :issued), token = :token, status = 0, state = :state,
        output = :output::json, error = :error::json, graph_version = coalesce(:version, j.graph_version),
        finished_at = durable.now()
    where j.run_id = :run_id and j.revision = :expected and j.hold = :hold and j.parent_run_id is null
      and exists (select from durable.worker_streams w where w.id = :run_id and w.reserved_by = :member)
      and not exists (select from durable.engine_streams e where e.run_id = :run_id and e.expired_at is null)
    returning j.run_id, case when (select true from durable.subscriptions limit 1) then j.reply_to || array(
        select distinct s.channel from durable.subscriptions s
        where s.app_id = j.app_id and s.topic in (j.graph, '*')) else j.reply_to end as reply_to
), facts as (
    insert into durable.history (run_id, revision, kind, number, at, name, data, failure, input)
    select p.run_id, f.revision, f.kind, f.number, f.at, f.name, f.data::json, f.failure::json, f.input::json
    from passed p, unnest(:facts.revision, :facts.kind, :facts.number, :facts.at, :facts.name, :facts.data,
                          :facts.failure, :facts.input)
        as f(revision, kind, number, at, name, data, failure, input)
), ended as (
    delete from durable.worker_streams m using passed p where m.id = any(array[p.run_id])
)
select run_id, reply_to from passed

-- name: commit_batch
-- Many runs at once, each atomically. Jobs are locked first, and a locked one is left for the next
-- batch; `passed` are the runs that clear every fence; every write joins it.
with wanted as (
    select * from unnest(:runs.*) as w(:runs)
), settled as (
    -- Attempts whose results come with the commit: each must still be ours, or its run is refused.
    -- Looked up one by one: a join may go through all that the member holds.
    select s.run_id, count(*) as wanted, count(*) filter (
        where (select m.reserved_by from durable.worker_streams m
               where m.id = s.id and m.run_id = s.run_id and m.expired_at is null) = :member) as found
    from unnest(:settled.*) as s(:settled)
    group by s.run_id
), offered as materialized (
    select w.*, s.run_id is null or s.found = s.wanted as settles
    from wanted w left join settled s on s.run_id = w.run_id
), locked as (
    -- One by one: of a join a planner expects one row, and compares each with each; or it goes through the whole
    -- table, which was small when the plan was made.
    select w.*, j.reply_to, j.parent_run_id, j.parent_number, j.jid, j.app_id, j.graph
    from offered w cross join lateral (
        select * from durable.jobs j where j.run_id = w.run_id and j.revision = w.expected and j.hold = w.hold
        for no key update skip locked
    ) j
), passed as materialized (
    -- A run that ends locks its wake row too: signals sent meanwhile wait for the outcome.
    select l.* from locked l
    where l.settles and (select k.reserved_by from durable.worker_streams k where k.id = l.run_id) = :member
), job as (
    update durable.jobs j
    set revision = p.expected + p.facts, issued = greatest(j.issued, p.issued),
        pending = coalesce(p.pending::json, j.pending), token = :token, status = p.status,
        state = coalesce(p.state, 'running'), output = coalesce(p.output::json, j.output),
        error = p.error::json, graph_version = coalesce(p.version, j.graph_version),
        attributes = coalesce(p.attributes::jsonb, j.attributes), document = coalesce(p.document::jsonb, j.document),
        finished_at = case when p.state is not null then durable.now() end
    from passed p where j.run_id = any(array[p.run_id])
    returning j.run_id
), facts as (
    -- The first fact on another version of the graph says so.
    insert into durable.history (run_id, revision, kind, number, at, name, data, failure, input, request_id,
        graph_version)
    select f.run_id, f.revision, f.kind, f.number, f.at, f.name, f.data::json, f.failure::json, f.input::json,
        f.request_id, case when p.expected > 0 and f.revision = p.expected + 1 then p.version end
    from unnest(:facts.*) as f(:facts) join passed p on p.run_id = f.run_id
), inbox as (
    delete from durable.engine_streams e
    using unnest(:inbox.*) as i(:inbox), passed p
    where e.id = any(array[i.id]) and p.run_id = i.run_id
), unread as (
    -- Messages that the run has not read when it ends stay as expired rows, visible to operators.
    update durable.engine_streams e set expired_at = durable.now()
    where e.run_id = any(array(select p.run_id from passed p where p.state is not null))
      and e.expired_at is null and e.id <> all(:inbox.id)
), aside as (
    -- Signals that the code could not read: kept with the reason, until they are delivered again.
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, msg_type, topic, message, error, created_at, visible_at, expired_at,
        dead_lettered_at)
    select p.app_id, p.graph, p.jid, p.run_id, 'signal', a.topic, a.message::json, a.error::json, durable.now(),
        durable.now(), durable.now(), durable.now()
    from unnest(:aside.*) as a(:aside) join passed p on p.run_id = a.run_id
), passed_over as (
    -- The history records that the signal was skipped: replay skips it too, even if newer code can read it.
    update durable.history h set failure = a.error::json
    from unnest(:aside.*) as a(:aside) join passed p on p.run_id = a.run_id
    where h.run_id = any(array[a.run_id]) and h.revision = any(array[a.revision]) and a.revision <= p.expected
), done as (
    delete from durable.worker_streams m
    using unnest(:settled.*) as s(:settled) join passed p on p.run_id = s.run_id
    where m.id = any(array[s.id])
), ended as (
    delete from durable.worker_streams m using passed p where m.id = any(array[p.run_id]) and p.state is not null
), unwanted as (
    select m.id, m.run_id, m.reserved_by from durable.worker_streams m
    where m.expired_at is null and m.id = any(array(
        select a.id
        from (select run_id, state from passed where state is not null or run_id = any(:cancelled.run_id)) p
        cross join lateral (
            select m.id, m.dad from durable.worker_streams m
            where m.run_id = p.run_id and m.msg_type = 'activity' and m.expired_at is null offset 0
        ) a
        where a.id <> all(:settled.id)
          and (p.state is not null
               or exists (select from unnest(:cancelled.*) as c(:cancelled)
                          where c.run_id = p.run_id and c.dad = a.dad))
    ))
    order by m.id + 0 for update of m
), dropped as (
    -- The run has stopped waiting for these attempts: their workers are notified, and their answers refused.
    update durable.worker_streams m set expired_at = durable.now(), reserved_by = null
    from unwanted u where m.id = any(array[u.id])
), intents as (
    insert into durable.worker_streams (
        stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, metadata, error,
        priority, created_at, visible_at, reserved_at, reserved_by, expired_at, dead_lettered_at,
        max_retry_attempts, backoff_coefficient, maximum_interval_seconds, initial_interval_seconds,
        retry_attempt)
    select i.stream, p.graph, p.jid, p.run_id, i.name, i.dad, 'activity', i.topic, i.message::json,
        i.metadata::json, i.error::json, i.priority, durable.now(),
        durable.now() + make_interval(secs => i.delay),
        case when i.held then durable.now() end, case when i.held then :member end,
        case when i.error is not null then durable.now() end, case when i.dead then durable.now() end,
        i.attempts, i.coefficient, i.maximum, i.initial, i.retry_attempt
    from unnest(:intents.*) as i(:intents) join passed p on p.run_id = i.run_id
    returning id, run_id, dad, expired_at
), asked as (
    select c.*, nextval('durable.ids') as child_id
    from unnest(:children.*) as c(:children) join passed p on p.run_id = c.run_id
), born as (
    insert into durable.jobs (run_id, jid, app_id, graph, priority, input, parent_run_id, parent_number, created_at, seed)
    select a.child_id, a.jid, a.queue, a.workflow, a.priority, a.input::json, a.run_id, a.number, durable.now(), a.seed
    from asked a
    on conflict (scope, jid) where finished_at is null do nothing
    returning run_id
), wakes as (
    insert into durable.worker_streams (id, stream_name, workflow_name, jid, run_id, msg_type, priority, created_at, visible_at)
    select a.child_id, a.queue, a.workflow, a.jid, a.child_id, 'turn', a.priority, durable.now(), durable.now()
    from asked a where a.child_id in (select run_id from born) is true
), taken as (
    -- The child's id belongs to an open run: the parent gets an error, as for any other failure.
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, error, created_at, visible_at)
    select a.queue, a.workflow, a.jid, a.run_id, a.workflow, a.number::text, 'step', 'child',
        json_build_object('type', 'WorkflowAlreadyStarted', 'path', 'durable' || '.errors:WorkflowAlreadyStarted',
            'message', format('a run with the id %L is already open', a.jid),
            'details', json_build_object('attributes', json_build_object('id', a.jid, 'run_id', null))),
        durable.now(), durable.now()
    from asked a where a.child_id in (select run_id from born) is not true
    returning run_id
), graphs as (
    -- Graphs that are steps: the engines of their app begin or abandon them.
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, msg_type, topic, message, priority, request_id, created_at, visible_at)
    select g.app, p.graph, p.jid, g.kind, g.topic, g.message::json, g.priority, g.request_id, durable.now(), durable.now()
    from unnest(:graphs.*) as g(:graphs) join passed p on p.run_id = g.run_id
), parent as (
    -- A child that ended notifies its parent, whose wake row is locked as for every arrival.
    select k.id, k.reserved_by, k.visible_at, k.stream_name, k.workflow_name, k.jid, p.parent_number, p.graph, p.state,
        p.output, p.error
    from passed p join durable.worker_streams k on k.id = any(array[p.parent_run_id])
    where p.state is not null
    order by k.id + 0 for no key update of k
), leaving as (
    -- Children whose parent has stopped waiting: it cancelled the wait, or ended.
    select k.id, k.reserved_by, k.visible_at, k.stream_name, k.workflow_name, k.jid from durable.worker_streams k
    where k.id = any(array(
        select c.run_id
        from (select run_id, state from passed where state is not null or run_id = any(:cancelled.run_id)) p
        cross join lateral (
            select c.run_id, c.parent_number from durable.jobs c
            where c.parent_run_id = p.run_id and c.finished_at is null offset 0
        ) c
        where p.state is not null
           or exists (select from unnest(:cancelled.*) as x(:cancelled)
                      where x.run_id = p.run_id and x.dad = c.parent_number::text)
    ))
    order by k.id + 0 for no key update of k
),
-- include: durable.store/cancellation(wakes = leaving; why = '"the parent no longer waits"'),
notified as (
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, dad, msg_type, topic, aid, message, error, created_at, visible_at)
    select p.stream_name, p.workflow_name, p.jid, p.id, p.parent_number::text, 'step', 'child', p.graph,
        p.output::json, p.error::json, durable.now(), durable.now()
    from parent p
), pulled as (
    -- By what the lock saw, not by this statement's snapshot: the row may just have been given back.
    update durable.worker_streams k set visible_at = durable.now()
    from parent p
    where k.id = any(array[p.id]) and p.reserved_by is null and p.visible_at > durable.now()
)
select 'passed' as what, p.run_id, null::bigint as id, null::text as word, 
    -- Subscriptions are rare: whether any exists is checked once for all runs.
    case when p.state is null then null when (select true from durable.subscriptions limit 1) then p.reply_to || array(
        select distinct s.channel from durable.subscriptions s
        where s.app_id = p.app_id and s.topic in (p.graph, '*')) else p.reply_to end as words
from passed p
union all
select 'locked', w.run_id, null, null, null from wanted w where not exists (select from locked l where l.run_id = w.run_id)
    and exists (select from durable.jobs j where j.run_id = any(array[w.run_id]) and j.revision = w.expected and j.hold = w.hold)
union all
select 'intent', i.run_id, i.id, i.dad, null from intents i where i.expired_at is null
union all
select 'dropped', u.reserved_by, u.id, null, null from unwanted u where u.reserved_by is not null
union all
select 'relative', t.id, t.reserved_by, t.stream_name, null
    from (select id, reserved_by, stream_name from parent union select id, reserved_by, stream_name from leaving) t
union all
select 'child', a.run_id, a.child_id, a.queue, null from asked a
union all
select 'inbox', t.run_id, null, null, null from taken t

-- name: settled
-- A commit whose answer was lost may still be running, until the server's timeout ends it: wait for its locks. A second
-- statement, with a younger snapshot, then reads what it wrote.
select from durable.jobs where run_id = any(:run_ids::bigint[]) order by run_id + 0 for no key update

-- name: outcomes
-- After a connection broke during a commit: the state of its rows. `held` are the attempts that are reserved
-- by this member: the ids of those that the commit wrote went with the answer.
select j.run_id, j.revision, j.token, h.numbers, h.messages
from durable.jobs j
left join lateral (
    select array_agg(m.dad::int) as numbers, array_agg(m.id) as messages from durable.worker_streams m
    where m.run_id = j.run_id and m.msg_type = 'activity' and m.reserved_by = :member and m.expired_at is null
) h on true
where j.run_id = any(:run_ids::bigint[])
