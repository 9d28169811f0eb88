-- name: facts
-- Everything that runs have behind them, in the order of their revisions.
select run_id, revision, kind, number, at, name, data, failure, input
from durable.history where run_id = any($1::bigint[]) order by run_id, revision
