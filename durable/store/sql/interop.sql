-- name: start_workflows
-- Workflows that activities of graphs start: each a job and its wake row. Their ids are fresh, so none is taken. The
-- engines of the app are named among those who hear of the end. `published`: the arguments came without their
-- function, and what cannot be read as such fails the run instead of suspending it.
with asked as materialized (
    select a.*, nextval('durable.ids') as run_id from unnest(:starts.*) as a(:starts)
), born as (
    insert into durable.jobs (
        run_id, jid, app_id, graph, input, metadata, seed, awaiter_id, awaiter, reply_to, created_at)
    select a.run_id, a.jid, a.queue, a.workflow, a.input::json, '{"published": true}', a.seed, a.awaiter_id, a.awaiter::json,
        case when a.channel is null then '{}' else array[a.channel] end, durable.now()
    from asked a
)
insert into durable.worker_streams (id, stream_name, workflow_name, jid, run_id, msg_type, created_at, visible_at)
select a.run_id, a.queue, a.workflow, a.jid, a.run_id, 'turn', durable.now(), durable.now() from asked a

-- name: lock_wakes
-- Of runs that await graphs, in the order in which everybody locks them. What these have in their inboxes, and
-- whether they wait, is read by further statements, whose snapshots are younger.
select w.id from durable.worker_streams w
where w.id = any(:runs::bigint[]) and w.msg_type = 'turn' order by w.id + 0 for no key update

-- name: waiting
-- Those of these steps that their runs still wait for.
select a.run_id, a.number, j.jid, j.graph
from unnest(:steps.run_id, :steps.number) as a(run_id, number) join durable.jobs j on j.run_id = any(array[a.run_id])
where coalesce(j.finished_at, 'infinity') = 'infinity' and exists (
    select from json_array_elements(j.pending) as p(step) where (p.step ->> 'number')::int = a.number)

-- name: is_asked
-- Whether a graph is still to be begun for a step, or is being begun in this moment.
select exists(select from durable.engine_streams e where e.request_id = :request and coalesce(e.expired_at, 'infinity') = 'infinity')

-- name: asked
select e.id, e.topic, e.message from durable.engine_streams e where e.id = :id and e.msg_type = 'begin'

-- name: await_jobs
-- Who awaits these jobs. One that has ended with its first step is told of by this very update, through the trigger.
update durable.jobs j set awaiter_id = a.awaiter_id, awaiter = a.awaiter::json, finished_at = j.finished_at
from unnest(:awaited.*) as a(:awaited) where j.run_id = any(array[a.run_id])

-- name: answer
-- What workflows hear of graphs that cannot begin.
with wake as (
    select w.id, w.stream_name, w.workflow_name, w.jid, w.reserved_by, w.visible_at from durable.worker_streams w
    where w.id = any(:answers.run_id) and w.msg_type = 'turn' order by w.id + 0 for no key update
), written as (
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, dad, msg_type, topic, aid, error, created_at, visible_at)
    select w.stream_name, w.workflow_name, w.jid, w.id, a.dad, 'step', 'graph', a.topic, a.error::json, durable.now(),
        durable.now()
    from unnest(:answers.*) as a(:answers) join wake w on w.id = a.run_id
)
update durable.worker_streams k set visible_at = durable.now()
from wake w where k.id = any(array[w.id]) and w.reserved_by is null and w.visible_at > durable.now()

-- name: forget
-- Messages that have begun their graphs: their request ids are those of the jobs from now on.
delete from durable.engine_streams e where e.id = any(:ids::bigint[])

-- name: holders
-- The reader of the inboxes of these runs: the member that holds one, else its task queue.
select w.id, w.reserved_by, w.stream_name from durable.worker_streams w
where w.id = any(:runs::bigint[]) and w.msg_type = 'turn'

-- name: cancel_awaited
-- Asks the workflows to stop that these jobs await. Their wake rows are locked first, as for every arrival.
with wake as (
    select w.id, w.stream_name, w.workflow_name, w.jid, w.reserved_by, w.visible_at from durable.worker_streams w
    where w.msg_type = 'turn' and w.id = any(array(
        select j.run_id from durable.jobs j
        where j.awaiter_id = any(:runs::bigint[]) and j.finished_at is null and j.scope = ''))
    order by w.id + 0 for no key update
),
-- include: cancellation(wakes = wake; why = '"the job that awaited it was interrupted"')
select w.id, w.reserved_by, w.stream_name from wake w
