-- name: has_migrations
-- to_regclass answers null, not an error, for what is missing or not visible to this role.
select to_regclass(format('%I.migrations', $1::text)) is not null

-- name: applied
select number from durable.migrations order by number

-- name: lock
-- One migrator at a time per namespace; the lock goes with the transaction.
select pg_advisory_xact_lock(hashtextextended($1, 0))

-- name: has_schema
-- Asked first, because `create schema if not exists` needs the right to create one even where it is there.
select to_regnamespace(quote_ident($1::text)) is not null

-- name: create_schema
-- `durable_schema` stands for the quoted schema name: a schema cannot be a parameter.
create schema if not exists durable_schema

-- name: create
create table if not exists durable.migrations (
    number integer primary key,
    name text not null,
    applied_at timestamptz not null default statement_timestamp()
)

-- name: record
insert into durable.migrations (number, name) values ($1, $2)
