-- The reserved slots, without those of throttled workers.
slots as materialized (
    select s.stream_name, s.member
    from unnest(:slots.*) as s(:slots)
    cross join lateral durable.throttle_v1(:app_id, s.topic, s.consumer) as t(ms)
    where t.ms = 0
)
