-- What a run's random numbers, uuids and idempotency keys are made of: 128 random bits, drawn by who starts it,
-- and kept here until its first turn has them in the history. Ids cannot serve: they begin anew in each
-- namespace, and repeat after a restore. Runs that were started before this have none, and keep their id.
alter table durable.jobs add column seed bytea;

-- Signals that were put aside: found by their run, when somebody looks at it or has them delivered again.
create index engine_streams_dead on durable.engine_streams (run_id) where dead_lettered_at is not null;
