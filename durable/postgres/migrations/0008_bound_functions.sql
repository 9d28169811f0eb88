-- Functions that mean the same whoever calls them: what they name is found in pg_catalog and in this schema, and
-- not by the caller's search path, on which others may have put functions of their own. Those in SQL are bound when
-- they are created; a setting of their own would keep them from being inlined. Those in plpgsql have the setting.
-- The signatures stay, so that builds that came before call these.

create or replace function durable.now() returns timestamptz
language sql stable parallel safe
return statement_timestamp() + coalesce(nullif(current_setting('durable_clock.offset', true), ''), '0')::interval;

create or replace function durable.give_back_v1(member bigint, runs bigint[], due timestamptz[]) returns setof bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform 1 from durable.worker_streams w
        where w.id = any(runs) and w.reserved_by = member order by w.id for update;
    return query
        update durable.worker_streams w
        set reserved_by = null, reserved_at = null, visible_at = case
            when exists (select 1 from durable.engine_streams e where e.run_id = w.id and e.expired_at is null)
            then durable.now() else g.due end
        from (select unnest(runs) as run_id, unnest(due) as due) g
        where w.id = g.run_id and w.reserved_by = member
        returning w.id;
end
$$;

create or replace function durable.throttle_v1(app text, served text, consumer text) returns setof integer
language sql stable
begin atomic
    select coalesce((
        select t.throttle from durable.throttles t
        where t.app_id = app and case t.target
            when 'guid' then t.name = consumer
            when 'topic' then t.name = served
            when 'workers' then served is not null
            when 'engines' then served is null
            else true end
        order by case t.target when 'guid' then 0 when 'topic' then 1 when 'all' then 3 else 2 end
        limit 1), 0);
end;

create or replace function durable.retention_v1(older float8, keep text[], app text)
returns table (scope text, completed boolean, seconds float8)
language sql stable
begin atomic
    select p.scope, p.completed, p.seconds from (
        select s.scope, o.outcome = 'completed' as completed, coalesce(older, case
            when r.scope is null then
                case when s.scope <> '' then 600 when o.outcome = 'completed' then 2592000 else 7776000 end
            when o.outcome = 'completed' then r.completed_seconds else r.failed_seconds end) as seconds
        from (select '' as scope union all select a.app_id from durable.apps a) s
        cross join unnest(array['completed', 'failed']) as o(outcome)
        left join durable.retention r on r.scope = s.scope
        where (app is null or s.scope = app) and o.outcome <> all(keep)
    ) p where p.seconds is not null;
end;

create or replace function durable.fits_v1(document jsonb, paths text[], operators text[], wanted text[]) returns boolean
language sql immutable
begin atomic
    select not exists (
        select from unnest(paths, operators, wanted) as c(path, operator, value)
        cross join lateral (
            select document #> array(select jsonb_array_elements_text(c.path::jsonb)) as found, c.value::jsonb as value
        ) x
        where not coalesce(case
            when c.operator = '=' then x.found = x.value
            when c.operator = '!=' then x.found <> x.value
            when c.operator = 'in' then exists (select from jsonb_array_elements(x.value) v where v = x.found)
            when c.operator = 'like' then jsonb_typeof(x.found) = 'string' and x.found #>> '{}' like x.value #>> '{}'
            when jsonb_typeof(x.found) <> jsonb_typeof(x.value) then false
            when c.operator = '>' then x.found > x.value
            when c.operator = '>=' then x.found >= x.value
            when c.operator = '<' then x.found < x.value
            when c.operator = '<=' then x.found <= x.value
        end, false));
end;
