(select w.priority from :table w
 where w.stream_name = :stream and :kind and w.reserved_by is null and w.expired_at is null and :below
 order by w.priority desc limit 1)
