-- What a job keeps about what it is for: searchable attributes, an entity document, markers.

-- Written whole by the turns of a function that changed them, and by operations of a graph's step. Names map
-- to text, numbers and booleans.
alter table durable.jobs add column attributes jsonb;
-- The kind of thing that a job of a graph is about, and what is known of it; a function has the document alone.
alter table durable.jobs add column entity text;
alter table durable.jobs add column document jsonb;

-- Partial: a job that has none of them costs the indexes nothing. Steps that change none of them stay HOT.
create index jobs_attributes on durable.jobs using gin (attributes jsonb_path_ops) where attributes is not null;
create index jobs_document on durable.jobs using gin (document jsonb_path_ops) where document is not null;
create index jobs_entity on durable.jobs (scope, entity, run_id) where entity is not null;
