-- name: settings
-- What a session of ours rests on, pinned by one statement after it has begun: as startup parameters a pooler would
-- refuse them. Names are qualified here, because the search path is not ours before this has run.
select
    -- Whoever may create a function in a schema of the path could have it called in the place of ours.
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false),
    -- Locks that are waited for and the rows read after them rest on a snapshot for each statement.
    pg_catalog.set_config('default_transaction_isolation', 'read committed', false),
    -- What was acknowledged is on disk. Other levels wait for it too, and some for replicas besides: they stay.
    pg_catalog.set_config('synchronous_commit', case pg_catalog.current_setting('synchronous_commit')
        when 'off' then 'on' else pg_catalog.current_setting('synchronous_commit') end, false),
    -- Rows that a policy hides are an error, not a run that is gone.
    pg_catalog.set_config('row_security', 'off', false),
    -- How values are read and written as text.
    pg_catalog.set_config('timezone', 'UTC', false), pg_catalog.set_config('datestyle', 'ISO, MDY', false),
    pg_catalog.set_config('intervalstyle', 'postgres', false), pg_catalog.set_config('extra_float_digits', '1', false),
    pg_catalog.set_config('bytea_output', 'hex', false),
    pg_catalog.set_config('standard_conforming_strings', 'on', false),
    -- Below our own deadline, so that whoever looks up what became of a statement finds it at an end.
    pg_catalog.set_config('statement_timeout', '10s', false), pg_catalog.set_config('lock_timeout', '0', false),
    -- Who vanished within a transaction, or with a lock, gives back what it held.
    pg_catalog.set_config('idle_in_transaction_session_timeout', '30s', false),
    pg_catalog.set_config('idle_session_timeout', '0', false),
    pg_catalog.set_config('tcp_keepalives_idle', '10', false), pg_catalog.set_config('tcp_keepalives_interval', '3', false),
    pg_catalog.set_config('tcp_keepalives_count', '3', false), pg_catalog.set_config('tcp_user_timeout', '15s', false),
    -- A plan that was made while a table was small is kept while it grows, until it is analysed. So none may read a
    -- whole table where an index serves; where none does, it is read all the same.
    pg_catalog.set_config('enable_seqscan', 'off', false), pg_catalog.set_config('jit', 'off', false)

-- name: lane
-- A lane's statements look up rows by their keys whatever the parameters are; planning one anew takes three times as
-- long as carrying it out.
select pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', false)

-- name: migration
-- One statement of a migration may rewrite a table or build an index on it. Its locks have timeouts of their own.
select pg_catalog.set_config('statement_timeout', '6h', false),
    pg_catalog.set_config('idle_in_transaction_session_timeout', '10min', false)

-- name: timeout
-- For a statement that may take longer than others, or that took too long as one batch.
select pg_catalog.set_config('statement_timeout', :timeout, false)

-- name: unfit
-- What a session that is not ours to set has to have. Only what is not so is returned.
select s.name, pg_catalog.current_setting(s.name) as setting, s.wanted
from (values ('default_transaction_isolation', 'read committed'), ('synchronous_commit', 'on'),
             ('standard_conforming_strings', 'on'), ('client_encoding', 'UTF8')) as s(name, wanted)
where case s.name when 'synchronous_commit' then pg_catalog.current_setting(s.name) = 'off'
    else pg_catalog.current_setting(s.name) <> s.wanted end

-- name: backend
-- The process that this statement is carried out by. A pooler gives clients another number than the server's.
select pg_catalog.pg_backend_pid()

-- name: place
-- Which database this is, and of which server: no two began in the same microsecond.
select pg_catalog.current_database() as name, d.oid as number, pg_catalog.pg_postmaster_start_time() as since
from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()

-- name: probe
-- Whether anybody answers.
select 1
