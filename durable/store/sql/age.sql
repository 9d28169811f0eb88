-- Before when what has failed, or nobody read, is pruned.
age as materialized (
    select durable.now() - make_interval(secs => r.seconds) as before
    from durable.retention_v1(:older_than, :keep::text[], :app_id) r where not r.completed and r.scope = coalesce(:app_id, '')
)
