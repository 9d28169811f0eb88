-- Whether anything that the asker serves is due, by one probe for each priority.
exists(select from :ranks r cross join lateral (
    select from durable.worker_streams w
    where w.stream_name = :queue and w.msg_type = (select :kind) and w.priority = r.priority
      and w.visible_at <= durable.now() and w.reserved_by is null and w.expired_at is null
      and :served
    order by w.visible_at limit 1) d) as :name
