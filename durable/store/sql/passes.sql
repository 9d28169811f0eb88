-- name: forget
-- What activities did in the first passes of a cycle. The row of the ancestor's first leg stays: it counts.
delete from durable.activities a
where a.run_id = $1 and (a.aid = any($2::text[]) or (a.aid = $3 and a.dad <> $4))
  and starts_with(a.dad, $5) and split_part(substr(a.dad, length($5) + 1), ',', 1)::integer < $6
