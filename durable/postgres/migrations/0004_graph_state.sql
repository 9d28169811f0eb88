-- What jobs of hand-written graphs leave behind, and for how long.

-- When an ended job gives its id free and may leave the tables; null: not yet ended, or kept for ever. Of a
-- pending job, when it goes unless it was resumed.
alter table durable.jobs add column expires_at timestamptz;

update durable.jobs j
set expires_at = j.finished_at + make_interval(secs => coalesce((j.metadata ->> 'expire')::float8, 1))
where j.scope <> '' and j.finished_at is not null and coalesce((j.metadata ->> 'expire')::float8, 1) > 0;

create index jobs_expiring on durable.jobs (scope, (state = 'completed'), expires_at) where expires_at is not null;

-- A job's state as it was when an activity with `emit` had settled, for subscribers.
create table durable.emissions (
    id bigint primary key default nextval('durable.ids'),
    run_id bigint not null,
    status bigint not null,
    output json not null,
    emitted_at timestamptz not null
);

create index emissions_run on durable.emissions (run_id);
create index emissions_at on durable.emissions (emitted_at);

-- Dead letters leave with their job.
create index engine_streams_dead_run on durable.engine_streams (run_id) where expired_at is not null;

-- Ended runs of functions by outcome and end, so that what is to be pruned is found without reading what stays.
-- The commit of an end cannot be a HOT update anyway: with it the run leaves the indexes on open runs.
create index jobs_finished on durable.jobs (state, finished_at) where scope = '' and finished_at is not null;
create index worker_streams_expired on durable.worker_streams (expired_at) where expired_at is not null;
create index engine_streams_expired on durable.engine_streams (expired_at) where expired_at is not null;
create index early_signals_created on durable.early_signals (created_at);

-- For how long ended runs are kept: of functions (scope '') and of the graphs of an app; null is for ever.
create table durable.retention (
    scope text primary key,
    completed_seconds float8,
    failed_seconds float8,
    set_at timestamptz not null
);

-- The policies in force, without the outcomes that are kept: `older` overrides them all, `app` chooses one app.
-- A scope without a row has the defaults: functions 30 and 90 days, jobs of graphs 10 minutes after they expired.
create function durable.retention_v1(older float8, keep text[], app text)
returns table (scope text, completed boolean, seconds float8)
language sql stable as $$
    select p.scope, p.completed, p.seconds from (
        select s.scope, o.outcome = 'completed' as completed, coalesce(older, case
            when r.scope is null then
                case when s.scope <> '' then 600 when o.outcome = 'completed' then 2592000 else 7776000 end
            when o.outcome = 'completed' then r.completed_seconds else r.failed_seconds end) as seconds
        from (select '' as scope union all select a.app_id from durable.apps a) s
        cross join unnest(array['completed', 'failed']) as o(outcome)
        left join durable.retention r on r.scope = s.scope
        where (app is null or s.scope = app) and o.outcome <> all(keep)
    ) p where p.seconds is not null
$$;
