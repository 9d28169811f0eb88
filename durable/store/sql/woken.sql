-- The wake rows of the runs that `:told` has something for; those without a holder are due at once.
-- `= any(array[…])` and `+ 0`, here and elsewhere, leave a plan no other way than the index: docs/design/protocol.md, "Plans".
wake as (
    select w.id, w.reserved_by, w.visible_at, w.stream_name, w.workflow_name, w.jid
    from durable.worker_streams w
    where w.id = any(array(select run_id from :told)) and w.msg_type = 'turn'
    order by w.id + 0 for no key update
), pulled as (
    update durable.worker_streams k set visible_at = durable.now()
    from wake w where k.id = any(array[w.id]) and w.reserved_by is null and w.visible_at > durable.now()
)
