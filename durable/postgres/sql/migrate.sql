-- name: has_migrations
-- to_regclass answers null, not an error, for what is missing or not visible to this role.
select to_regclass(format('%I.migrations', $1::text)) is not null

-- name: applied
select number from durable.migrations order by number

-- name: lock
-- One migrator at a time per namespace; the lock goes with the transaction.
select pg_advisory_xact_lock(hashtextextended($1, 0))

-- name: create
-- `durable_schema` stands for the quoted schema name: a schema cannot be a parameter.
create schema if not exists durable_schema;
create table if not exists durable.migrations (
    number integer primary key,
    name text not null,
    applied_at timestamptz not null default statement_timestamp()
)

-- name: record
insert into durable.migrations (number, name) values ($1, $2)
