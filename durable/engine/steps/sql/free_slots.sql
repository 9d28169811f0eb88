-- The slots that were kept, without those of workers that a throttle concerns.
slots as materialized (
    select s.stream_name, s.member
    from unnest(:slots.*) as s(:slots)
    cross join lateral durable.throttle_v1(:app_id, s.topic, s.consumer) as t(ms)
    where t.ms = 0
)
