-- Jobs that are awaited by a job of the other kind: a workflow by an activity of a graph, a graph by a step of a
-- workflow. `awaiter_id` is the run that awaits, and `awaiter` says where in it: {"kind": "graph", "app", "graph", "jid",
-- "aid", "dad"} or {"kind": "workflow", "number"}. `parent_run_id` stays empty, so that a build which knows nothing of
-- this takes such a job for one without a parent.
alter table durable.jobs add column awaiter_id bigint;
alter table durable.jobs add column awaiter json;

create index jobs_awaiter on durable.jobs (awaiter_id) where awaiter_id is not null and finished_at is null;

-- The end of such a job is told to its awaiter in the same transaction, whatever ends it: a commit of its own, one from
-- outside, or one of an earlier build. To a graph it is a message of a type that earlier builds leave alone; for a
-- workflow it arrives in the inbox, with the wake row locked first, as for every arrival.
create function durable.crossed_v1() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    wake record;
begin
    if new.awaiter ->> 'kind' = 'graph' then
        insert into durable.engine_streams (
            stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, priority, created_at, visible_at)
        values (new.awaiter ->> 'app', new.awaiter ->> 'graph', new.awaiter ->> 'jid', new.awaiter_id,
            new.awaiter ->> 'aid', new.awaiter ->> 'dad', 'outcome', new.graph,
            json_build_object('id', new.jid, 'state', new.state, 'output', new.output::text, 'error', new.error::text),
            3, durable.now(), durable.now());
        return null;
    end if;
    select w.stream_name, w.workflow_name, w.jid, w.reserved_by, w.visible_at into wake
    from durable.worker_streams w where w.id = new.awaiter_id and w.msg_type = 'turn' for no key update;
    if found then
        insert into durable.engine_streams (
            stream_name, workflow_name, jid, run_id, dad, msg_type, topic, aid, message, error, created_at, visible_at)
        values (wake.stream_name, wake.workflow_name, wake.jid, new.awaiter_id, new.awaiter ->> 'number', 'step', 'graph',
            new.graph, new.output, new.error, durable.now(), durable.now());
        update durable.worker_streams w set visible_at = durable.now()
        where w.id = new.awaiter_id and w.reserved_by is null and w.visible_at > durable.now();
    end if;
    return null;
end
$$;

-- A job that ends with its first step gets its awaiter after it has ended.
create trigger jobs_crossed after update of finished_at on durable.jobs for each row
when (new.awaiter_id is not null and new.finished_at is not null
    and (old.finished_at is null or old.awaiter_id is null))
execute function durable.crossed_v1();
