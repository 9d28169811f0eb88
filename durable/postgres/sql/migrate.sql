-- name: tables
-- to_regclass answers null, not an error, for what is missing or not visible to this role.
select to_regclass(format('%I.migrations', :schema::text)) is not null as migrations,
    to_regclass(format('%I.revisions', :schema::text)) is not null as revisions

-- name: applied
select number from durable.migrations order by number

-- name: revisions
select number, oldest, applied_at is not null as applied from durable.revisions order by number

-- name: lock
-- One migrator at a time per namespace. The lock is the session's, since the steps are transactions of their own.
-- It is tried again and again, not waited for: who waits in a statement holds a snapshot, and an index that is made
-- concurrently waits for all of those. The first builds took the same lock for a transaction.
select pg_try_advisory_lock(hashtextextended(:key, 0))

-- name: holder
-- Who has the lock, for the log.
select l.pid, a.application_name as name, a.client_addr::text as host
from pg_locks l left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
    and (l.classid::bigint << 32) | l.objid::bigint = hashtextextended(:key, 0)

-- name: has_schema
-- Asked first, because `create schema if not exists` needs the right to create one even where it is there.
select to_regnamespace(quote_ident(:schema::text)) is not null

-- name: create_schema
-- `durable_schema` stands for the quoted schema name: a schema cannot be a parameter.
create schema if not exists durable_schema

-- name: create_migrations
-- What the first builds know: they refuse to start beside a number in here that they do not ship.
create table if not exists durable.migrations (
    number integer primary key,
    name text not null,
    applied_at timestamptz not null default statement_timestamp()
)

-- name: create_revisions
-- Every migration since, and how far those have come that are under way. `oldest`: the newest migration that a
-- process must at least ship to work beside this one.
create table if not exists durable.revisions (
    number integer primary key,
    name text not null,
    oldest integer not null default 0,
    steps integer not null default 0,
    cursor bigint not null default 0,
    began_at timestamptz not null default statement_timestamp(),
    applied_at timestamptz
)

-- name: record
insert into durable.migrations (number, name) values (:number, :name) on conflict do nothing

-- name: begin
-- An interrupted migration goes on where it was left.
with fresh as (
    insert into durable.revisions (number, name, oldest) values (:number, :name, :oldest)
    on conflict do nothing returning steps, cursor
)
select steps, cursor from fresh union all select steps, cursor from durable.revisions where number = :number

-- name: progress
update durable.revisions set steps = :steps, cursor = :cursor where number = :number

-- name: finish
update durable.revisions set applied_at = statement_timestamp() where number = :number

-- name: limits
-- Who waits for a lock has everybody else wait behind it: for two seconds, and then once more a moment later.
select set_config('lock_timeout', '2s', true)

-- name: valid
-- Whether the index is there, and whole: what interrupts its making leaves half of it. Null: it is not there.
select i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid
where c.relnamespace = to_regnamespace(quote_ident(:schema::text)) and c.relname = :name

-- name: drop_index
-- `durable_index` stands for the quoted name.
drop index concurrently if exists durable_index

-- name: names
select relname::text as name from pg_class
where relnamespace = to_regnamespace(quote_ident(:schema::text)) and relkind = 'r'

-- name: grants
-- Whoever was given rights on a table that was there (`like`) has the same on those that are new: a worker's
-- role, which was given them on all tables there were, can go on.
select format('grant %s on table %I.%I to %s%s', r.privilege_type, n.nspname, fresh.name,
    case when r.grantee = 0 then 'public' else (select quote_ident(rolname) from pg_roles where oid = r.grantee) end,
    case when r.is_grantable then ' with grant option' else '' end)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
cross join lateral aclexplode(c.relacl) r
cross join unnest(:tables::text[]) as fresh(name)
where c.relnamespace = to_regnamespace(quote_ident(:schema::text)) and c.relname = :like and c.relkind = 'r'
    and r.grantee <> c.relowner
