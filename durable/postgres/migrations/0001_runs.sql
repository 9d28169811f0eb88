-- Runs of workflows: jobs, their histories, the two streams and the members that hold leases.

-- One sequence names runs, messages and members: the wake row of a run has the run's own id, so that
-- it is found by primary key.
create sequence durable.ids;

-- The clock that every statement reads: statement_timestamp is stable (an index can use it), and the
-- offset lets tests move time for database and process alike.
create function durable.now() returns timestamptz
language sql stable parallel safe
return statement_timestamp() + coalesce(nullif(current_setting('durable_clock.offset', true), ''), '0')::interval;

create table durable.jobs (
    run_id bigint primary key,
    jid text not null,
    -- '' for functions, whose ids are unique in the namespace; the app id for hand-written graphs.
    scope text not null default '',
    app_id text not null,
    graph text not null,
    graph_version text,
    state text not null default 'running',
    -- The semaphore: 1 + open steps, 0 when done.
    status bigint not null default 1,
    -- Number of the last fact; highest command number written; the commands then open.
    revision integer not null default 0,
    issued integer not null default 0,
    pending json,
    -- How often it was claimed. Who commits says under which claim it holds the run: a commit of an
    -- earlier one, still under way when the run was claimed anew, must not land behind the fold.
    hold integer not null default 0,
    -- Of the last commit, and of the start: by them an unknown outcome becomes known.
    token bigint,
    request_id uuid,
    priority smallint not null default 0,
    input json,
    output json,
    error json,
    metadata json,
    parent_run_id bigint,
    parent_number integer,
    -- Notification channels of those who wait for the end.
    reply_to text[] not null default '{}',
    created_at timestamptz not null,
    finished_at timestamptz
) with (fillfactor = 70);

create unique index jobs_open_jid on durable.jobs (scope, jid) where finished_at is null;
create index jobs_jid on durable.jobs (scope, jid, run_id);
create unique index jobs_request on durable.jobs (request_id) where request_id is not null;
create index jobs_suspended on durable.jobs (app_id, graph) where state = 'suspended';

create table durable.history (
    run_id bigint not null,
    revision integer not null,
    kind text not null,
    number integer not null,
    at timestamptz not null,
    name text not null,
    data json,
    failure json,
    input json,
    -- Of the request that a signal came by: one that is sent again is known, although its row is gone.
    request_id uuid,
    primary key (run_id, revision)
);

create table durable.worker_streams (
    id bigint primary key default nextval('durable.ids'),
    stream_name text not null,
    workflow_name text not null,
    jid text,
    run_id bigint,
    aid text,
    dad text,
    msg_type text not null,
    topic text,
    message json,
    metadata json,
    error json,
    priority smallint not null default 0,
    created_at timestamptz not null,
    visible_at timestamptz not null,
    reserved_at timestamptz,
    reserved_by bigint,
    expired_at timestamptz,
    dead_lettered_at timestamptz,
    max_retry_attempts integer not null default 3,
    backoff_coefficient numeric not null default 10,
    maximum_interval_seconds numeric not null default 120,
    initial_interval_seconds numeric,
    -- Attempts before this one; the row of the first attempt says 0.
    retry_attempt integer not null default 0,
    losses integer not null default 0
) with (fillfactor = 80);

create index worker_streams_claim on durable.worker_streams
    (stream_name, msg_type, priority desc, visible_at)
    where reserved_by is null and expired_at is null;
create index worker_streams_reserved on durable.worker_streams (reserved_by) where reserved_by is not null;
create index worker_streams_run on durable.worker_streams (run_id) where msg_type = 'activity';

create table durable.engine_streams (
    like durable.worker_streams including defaults including storage,
    primary key (id)
) with (fillfactor = 80);

alter table durable.engine_streams add column request_id uuid;
create unique index engine_streams_request on durable.engine_streams (request_id) where request_id is not null;
create index engine_streams_inbox on durable.engine_streams (run_id, id) where expired_at is null;
create index engine_streams_claim on durable.engine_streams
    (stream_name, priority desc, visible_at)
    where reserved_by is null and expired_at is null and msg_type not in ('step', 'signal', 'cancel');

create table durable.members (
    member_id bigint primary key,
    name text not null,
    host text not null,
    pid integer not null,
    started_at timestamptz not null,
    beat_at timestamptz not null
);

-- One row: who writes it looks for dead members next. A lock would do, were it not for processes that
-- stand still and hold it. `since`: somebody has looked every few seconds since then.
-- `pruned_at`: when somebody last looked for what is to be pruned, which is done once a minute.
create table durable.sweeps (swept_at timestamptz not null, since timestamptz not null, pruned_at timestamptz not null);
insert into durable.sweeps values ('-infinity', 'infinity', clock_timestamp());

-- Gives runs back: the wake row is locked first, and the inbox is read by a second statement, whose
-- snapshot sees every arrival that was not told of a holder. So no arrival is lost between.
create function durable.give_back_v1(member bigint, runs bigint[], due timestamptz[]) returns setof bigint
language plpgsql as $$
begin
    perform 1 from durable.worker_streams w
        where w.id = any(runs) and w.reserved_by = member order by w.id for update;
    return query
        update durable.worker_streams w
        set reserved_by = null, reserved_at = null, visible_at = case
            when exists (select 1 from durable.engine_streams e where e.run_id = w.id and e.expired_at is null)
            then durable.now() else g.due end
        from (select unnest(runs) as run_id, unnest(due) as due) g
        where w.id = g.run_id and w.reserved_by = member
        returning w.id;
end
$$;
