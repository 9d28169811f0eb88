-- name: facts
-- Everything that runs have behind them, in the order of their revisions. By its request a signal is known that was
-- sent again and lies in the inbox, though its first copy is a fact.
select run_id, revision, kind, number, at, name, data, failure, input, request_id, graph_version
from durable.history where run_id = any(:run_ids::bigint[]) order by run_id, revision

-- name: page
-- The next so many facts of one run: a long history is read a page at a time, so that others come in between.
select run_id, revision, kind, number, at, name, data, failure, input, request_id, graph_version
from durable.history where run_id = :run_id and revision > :after order by revision limit :limit
