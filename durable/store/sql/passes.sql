-- name: forget
-- What activities did in the first passes of a cycle. The row of the ancestor's first leg stays: it counts.
delete from durable.activities a
where a.run_id = :run_id and (a.aid = any(:below::text[]) or (a.aid = :ancestor and a.dad <> :leg))
  and starts_with(a.dad, :prefix) and split_part(substr(a.dad, length(:prefix) + 1), ',', 1)::integer < :number
