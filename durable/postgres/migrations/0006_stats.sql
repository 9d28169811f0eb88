-- What is counted over jobs of hand-written graphs, which jobs have what, and signals to many jobs.

-- One row for each job that is counted, and one for each of its measures: nothing for which two starts could
-- wait. They outlive their jobs, but for those of kind `index`, which say which jobs there are.
create table durable.job_stats (
    app_id text not null,
    graph text not null,
    -- What the trigger's `stats.key` was for the job.
    key text not null,
    -- Where the step of time begins in which the job was created; -infinity: all time is one step.
    slot timestamptz not null,
    -- `job`, or the measure.
    kind text not null,
    -- The name of what is measured, with ":" and its value for `count` and `index`; '' for `job`.
    target text not null,
    value numeric,
    run_id bigint not null
);

create index job_stats_slots on durable.job_stats (app_id, graph, md5(key), slot);
create index job_stats_index on durable.job_stats (app_id, graph, md5(key), run_id) where kind = 'index';
create index job_stats_run on durable.job_stats (run_id) where kind = 'index';

-- A signal that is for one job only waits for that one, and leaves with it.
alter table durable.early_signals add column run_id bigint;
create index early_signals_run on durable.early_signals (run_id) where run_id is not null;
