-- What a run's random numbers, uuids and idempotency keys are made of: 128 random bits, drawn by who starts it,
-- and kept here until its first turn has them in the history. Ids cannot serve: they begin anew in each
-- namespace, and repeat after a restore. Runs that were started before this have none, and keep their id.
alter table durable.jobs add column seed bytea;
