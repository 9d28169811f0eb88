-- Whether a throttle keeps every worker of a task queue from a name; where none is alive, one that would start now.
coalesce((
    select bool_and((select t.ms from durable.throttle_v1(:queue, :served, m.member_id::text) as t(ms)) < 0)
    from durable.members m where m.app_id = :queue and m.beat_at > clock_timestamp() - interval '1 minute'
), (select t.ms from durable.throttle_v1(:queue, :served, '') as t(ms)) < 0) as paused
