-- Descriptors of functions that are carried out: versions of their graphs, and what operators changed of them.

-- Each graph that functions generated, by the version that runs are pinned to. `document` is the graph as plain
-- data; what the graphs of its app share stands once, with graph ''.
create table durable.graph_versions (
    app_id text not null,
    graph text not null,
    version text not null,
    document json not null,
    created_at timestamptz not null,
    primary key (app_id, graph, version)
);

-- What operators changed: one row per field and for as long as it holds, by the numbers of deployments: from `since`
-- on, until `until` takes it back. Runs that began under a deployment go on by what held then.
create table durable.graph_edits (
    app_id text not null,
    -- '' for what the graphs of the app share.
    graph text not null,
    activity text not null,
    -- "retry.maximumAttempts", "taskQueue", …; "transition": where the command leads; '': the activity is taken out.
    field text not null,
    since integer not null,
    until integer,
    -- What it is set to, and what the descriptor said that was edited; null for nothing.
    value json,
    base json,
    base_version text not null,
    author text not null,
    made_at timestamptz not null,
    primary key (app_id, graph, activity, field, since)
);

-- The deployment in force: a run is pinned to it by the claim of its first turn. Runs of deployments before
-- `open_edit` follow that one with the steps that they schedule from then on.
alter table durable.apps add column edit integer not null default 0;
alter table durable.apps add column open_edit integer not null default 0;
-- The deployment that a run follows; null for none.
alter table durable.jobs add column edit integer;

-- Where a run went over to another version of its graph, because a worker with other code took it.
alter table durable.history add column graph_version text;

-- Which descriptor a member serves.
alter table durable.members add column app_id text;
alter table durable.members add column app_version text;
