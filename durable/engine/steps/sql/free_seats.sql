-- The seats that were kept, without those of workers that a throttle concerns.
seats as materialized (
    select s.stream_name, s.member
    from unnest(:seats.*) as s(:seats)
    cross join lateral durable.throttle_v1(:app_id, s.topic, s.consumer) as t(ms)
    where t.ms = 0
)
