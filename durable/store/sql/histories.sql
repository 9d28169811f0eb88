-- name: facts
-- Everything that runs have behind them, in the order of their revisions.
select run_id, revision, kind, number, at, name, data, failure, input
from durable.history where run_id = any($1::bigint[]) order by run_id, revision

-- name: page
-- The next so many facts of one run: a long history is read a page at a time, so that others come in between.
select run_id, revision, kind, number, at, name, data, failure, input
from durable.history where run_id = $1 and revision > $2 order by revision limit $3
