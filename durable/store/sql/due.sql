-- What is due in a stream, the highest priority first, locked; the commit does not wait for the disk (`quick`).
quick as materialized (
    select set_config('synchronous_commit', 'off', true)
),
-- include: ranks(name = ranks; table = durable.worker_streams; stream = :stream; kind = w.msg_type = (select :kind)),
due as (
    select d.id from ranks r cross join lateral (
        select w.id from durable.worker_streams w
        where w.stream_name = :stream and w.msg_type = (select :kind) and w.priority = r.priority
          and w.visible_at <= :before and w.reserved_by is null and w.expired_at is null and :served
        order by w.visible_at -- as the index is, and no further: else a plan may take another index, and sort
        limit :limit for update skip locked
    ) d
    where :allowed
    limit :limit
)
