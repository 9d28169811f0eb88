-- name: notify
-- Many at once, in a transaction that writes nothing and so waits for no disk.
select pg_notify(c, p) from set_config('synchronous_commit', 'off', true), unnest(:channels::text[], :payloads::text[]) as n(c, p)
