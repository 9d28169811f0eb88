-- Asks the runs whose wake rows `:wakes` has locked to stop, for the reason `:why`; those that no worker holds are due at once.
asked_to_stop as (
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, msg_type, topic, message, created_at, visible_at)
    select w.stream_name, w.workflow_name, w.jid, w.id, 'cancel', 'cancel', :why,
        durable.now(), durable.now()
    from :wakes w
), stopping as (
    update durable.worker_streams k set visible_at = durable.now()
    from :wakes w
    where k.id = any(array[w.id]) and w.reserved_by is null and w.visible_at > durable.now()
)
