-- name: start_workflows
-- Workflows that activities of graphs start: each a job and its wake row. Their ids are fresh, so none is taken. The
-- engines of the app are named among those who hear of the end.
with asked as materialized (
    select a.*, nextval('durable.ids') as run_id from unnest(:starts.*) as a(:starts)
), born as (
    insert into durable.jobs (
        run_id, jid, app_id, graph, input, seed, awaiter_id, awaiter, reply_to, created_at)
    select a.run_id, a.jid, a.queue, a.workflow, a.input::json, a.seed, a.awaiter_id, a.awaiter::json,
        case when a.channel is null then '{}' else array[a.channel] end, durable.now()
    from asked a
)
insert into durable.worker_streams (id, stream_name, workflow_name, jid, run_id, msg_type, created_at, visible_at)
select a.run_id, a.queue, a.workflow, a.jid, a.run_id, 'turn', durable.now(), durable.now() from asked a
