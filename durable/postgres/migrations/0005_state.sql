-- What a job keeps about what it is for: searchable attributes, an entity document, markers.

-- Written whole by the turns of a function that changed them, and by the steps of a graph. Names map to text,
-- numbers and booleans.
alter table durable.jobs add column attributes jsonb;
-- The kind of thing that a job of a graph is about, and what is known of it; a function has the document alone.
alter table durable.jobs add column entity text;
alter table durable.jobs add column document jsonb;
-- Notes that a graph's job leaves, by names that begin with "-".
alter table durable.jobs add column markers jsonb;

-- Partial: a job that has none of them costs the indexes nothing. Steps that change none of them stay HOT.
create index jobs_attributes on durable.jobs using gin (attributes jsonb_path_ops) where attributes is not null;
create index jobs_document on durable.jobs using gin (document jsonb_path_ops) where document is not null;
create index jobs_entity on durable.jobs (scope, entity, run_id) where entity is not null;

-- Whether a document fits all conditions: each a path (JSON list of keys), an operator, a value (JSON). Values of
-- different types are never in an order, and a condition on what is not there does not hold.
create function durable.fits_v1(document jsonb, paths text[], operators text[], wanted text[]) returns boolean
language sql immutable as $$
    select not exists (
        select from unnest(paths, operators, wanted) as c(path, operator, value)
        cross join lateral (
            select document #> array(select jsonb_array_elements_text(c.path::jsonb)) as found, c.value::jsonb as value
        ) x
        where not coalesce(case
            when c.operator = '=' then x.found = x.value
            when c.operator = '!=' then x.found <> x.value
            when c.operator = 'in' then exists (select from jsonb_array_elements(x.value) v where v = x.found)
            when c.operator = 'like' then jsonb_typeof(x.found) = 'string' and x.found #>> '{}' like x.value #>> '{}'
            when jsonb_typeof(x.found) <> jsonb_typeof(x.value) then false
            when c.operator = '>' then x.found > x.value
            when c.operator = '>=' then x.found >= x.value
            when c.operator = '<' then x.found < x.value
            when c.operator = '<=' then x.found <= x.value
        end, false))
$$;
