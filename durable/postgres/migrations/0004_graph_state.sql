-- What jobs of hand-written graphs leave behind, and for how long.

-- When an ended job gives its id free and may leave the tables; null: not yet ended, or kept for ever. Of a
-- pending job, when it goes unless it was resumed.
alter table durable.jobs add column expires_at timestamptz;

update durable.jobs j
set expires_at = j.finished_at + make_interval(secs => coalesce((j.metadata ->> 'expire')::float8, 1))
where j.scope <> '' and j.finished_at is not null and coalesce((j.metadata ->> 'expire')::float8, 1) > 0;

create index jobs_expiring on durable.jobs (scope, expires_at) where expires_at is not null;

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

-- Searchable attributes of a job (`_name`) and its markers (`-name`), as text.
create table durable.job_attributes (
    run_id bigint not null,
    name text not null,
    value text,
    primary key (run_id, name)
);

create index job_attributes_value on durable.job_attributes (name, md5(value));

-- Dead letters leave with their job.
create index engine_streams_dead_run on durable.engine_streams (run_id) where expired_at is not null;
