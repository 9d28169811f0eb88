-- How often a run was released in a row for what was not its own fault, and at which revision it last was:
-- with each release the next try waits twice as long, and the tenth at one revision suspends it.
alter table durable.worker_streams add column releases smallint;
alter table durable.worker_streams add column released_revision bigint;
