"""The schema, as numbered files; never edited once released.

A file is plain SQL that names the schema `durable`. Each statement becomes a step, applied in a
transaction of its own beside processes of the previous release that are at work. So a migration
only adds: tables, functions under new names, columns that are nullable or have a constant default.
Write `create index` as it is: the runner makes it concurrently. Data is changed in batches, by a
statement below the line `-- batched`: its `$1` is the greatest key done so far, 0 at first, and it
returns the greatest key of its batch, or null when nothing is left:

    -- batched: what it is for.
    with batch as (
        select run_id from durable.jobs where run_id > $1 order by run_id limit 1000
    ), changed as (
        update durable.jobs j set word = '' from batch b where j.run_id = b.run_id
    )
    select max(run_id) from batch;

On a new schema such statements are left out. A line `-- oldest: N` refuses processes whose newest
migration is below N; without it every older release goes on.
"""
