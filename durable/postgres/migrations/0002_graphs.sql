-- Hand-written graphs: apps and their versions, what each activity of a job did, and signals.

-- An app runs the version that `active_version` names, from the moment in which that commits; jobs
-- keep the version on which they started.
create table durable.apps (
    app_id text primary key,
    active_version text,
    activated_at timestamptz
);

create table durable.app_versions (
    app_id text not null,
    version text not null,
    -- The document as it was deployed, for people and for the plan.
    descriptor text not null,
    content_hash text not null,
    -- Made from decorated functions: never activated, its graphs are run by turns.
    generated boolean not null default false,
    deployed_at timestamptz not null,
    activated_at timestamptz,
    primary key (app_id, version)
);

-- What a signal on a topic is compared by. `rule` is the hash of `actual`, the list of expressions over
-- the payload; versions that compare in the same way share it. Rules outlive versions: jobs wait by them.
create table durable.hook_rules (
    app_id text not null,
    topic text not null,
    rule text not null,
    actual json not null,
    primary key (app_id, topic, rule)
);

-- One row per instance of an activity (its place in the graph and its dimension).
create table durable.activities (
    run_id bigint not null,
    dad text not null,
    aid text not null,
    -- Whether its second leg still takes answers.
    open boolean not null,
    -- Answers so far: the dimension of the next one. Counted on the row of the first leg (dad ends in 0).
    replies integer not null default 0,
    code integer,
    input json,
    output json,
    hook json,
    error json,
    opened_at timestamptz not null,
    settled_at timestamptz,
    primary key (run_id, dad, aid)
) with (fillfactor = 80);

-- Activities that wait for a signal. `key` is the hash of what their rule expects; writers of a key hold
-- its advisory lock, so that a signal and its waiter cannot miss each other.
create table durable.hooks (
    id bigint primary key default nextval('durable.ids'),
    app_id text not null,
    topic text not null,
    rule text not null,
    key text not null,
    run_id bigint not null,
    dad text not null,
    aid text not null,
    created_at timestamptz not null
);

create index hooks_waiting on durable.hooks (app_id, topic, rule, key, id);
create index hooks_run on durable.hooks (run_id);

-- Signals that came before anybody waited, kept until somebody does; one row per rule of their topic.
create table durable.early_signals (
    signal_id bigint not null,
    app_id text not null,
    topic text not null,
    rule text not null,
    key text not null,
    message json not null,
    created_at timestamptz not null,
    primary key (signal_id, rule)
);

create index early_signals_key on durable.early_signals (app_id, topic, rule, key, signal_id);

-- Children are looked up by their parent only when an interruption descends.
create index jobs_parent on durable.jobs (parent_run_id)
    where parent_run_id is not null and finished_at is null;

-- What ended lately in a graph: the net beneath the notifications to subscribers.
create index jobs_ended on durable.jobs (scope, graph, finished_at)
    where scope <> '' and finished_at is not null;

-- Timers of an activity are disarmed by its address.
create index worker_streams_graph_run on durable.worker_streams (run_id) where msg_type = 'worker';
