-- The work that a step leads to; work with a slot is reserved for its worker at once.
work as (
    insert into durable.worker_streams (
        stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, metadata, created_at, visible_at,
        max_retry_attempts, backoff_coefficient, maximum_interval_seconds, initial_interval_seconds,
        reserved_by, reserved_at)
    select w.stream_name, :graph, :jid, :run_id, w.aid, w.dad, 'worker', w.topic, w.message::json, w.metadata::json,
        durable.now(), durable.now(), w.attempts, w.coefficient, w.longest, w.first, k.member,
        case when k.member is not null then durable.now() end
    from unnest(:work.*, :slot_taken::boolean[]) as w(:work, slot_taken)
    join :step
    left join slots k on w.slot_taken and k.stream_name = w.stream_name
    returning id, run_id, aid, dad, reserved_by
)
