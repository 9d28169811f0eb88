-- name: count
insert into durable.job_stats (app_id, graph, key, slot, kind, target, value, run_id)
select c.app_id, c.graph, c.key, coalesce(to_timestamp(c.slot), '-infinity'), c.kind, c.target, c.value::numeric, c.run_id
from unnest(:found.*) as c(:found)

-- name: totals
-- What was measured in a stretch of time: by steps of so many minutes, and as a whole (`whole`), since averages and
-- medians of the whole do not follow from those of its steps. Without minutes all of it is one step.
select grouping(at) = 1 as whole, extract(epoch from at)::float8 as at, kind, target, count(*) as count,
    sum(value)::float8 as sum, avg(value)::float8 as avg, min(value)::float8 as min, max(value)::float8 as max,
    percentile_cont(0.5) within group (order by value::float8) as mdn
from (
    select case when :minutes::integer is not null then date_bin(make_interval(mins => :minutes), s.slot, 'epoch') end as at,
        s.kind, s.target, s.value
    from durable.job_stats s
    where s.app_id = :app_id and s.graph = :graph and md5(s.key) = md5(:key) and s.key = :key and s.kind <> 'index'
      and (:first::float8 is null or s.slot >= to_timestamp(:first)) and (:end::float8 is null or s.slot < to_timestamp(:end))
) found
group by grouping sets ((at, kind, target), (kind, target))
order by target, kind

-- name: ids
-- Which jobs have which facets, by steps of time; the oldest first. No facets: any.
select extract(epoch from found.at)::float8 as at, found.target, array_agg(found.jid order by found.run_id) as jids
from (
    select case when :minutes::integer is not null then date_bin(make_interval(mins => :minutes), s.slot, 'epoch') end as at,
        s.target, s.run_id, j.jid
    from durable.job_stats s join durable.jobs j on j.run_id = s.run_id
    where s.app_id = :app_id and s.graph = :graph and md5(s.key) = md5(:key) and s.key = :key and s.kind = 'index'
      and (:first::float8 is null or s.slot >= to_timestamp(:first)) and (:end::float8 is null or s.slot < to_timestamp(:end))
      and (cardinality(:facets::text[]) = 0 or s.target = any(:facets))
) found
group by found.at, found.target
order by found.at, found.target

-- name: indexes
-- By which facets, and in which steps of time, there are jobs.
select distinct extract(epoch from s.slot)::float8 as at, s.target
from durable.job_stats s
where s.app_id = :app_id and s.graph = :graph and md5(s.key) = md5(:key) and s.key = :key and s.kind = 'index'
  and (:first::float8 is null or s.slot >= to_timestamp(:first)) and (:end::float8 is null or s.slot < to_timestamp(:end))
  and (cardinality(:facets::text[]) = 0 or s.target = any(:facets))
order by at, s.target

-- name: latest
-- The latest of the jobs that are there now: later ones are not meant by a signal that is under way.
select max(s.run_id)
from durable.job_stats s
where s.app_id = :app_id and s.graph = :graph and md5(s.key) = md5(:key) and s.key = :key and s.kind = 'index'
  and (:first::float8 is null or s.slot >= to_timestamp(:first)) and (:end::float8 is null or s.slot < to_timestamp(:end))
  and (cardinality(:facets::text[]) = 0 or s.target = any(:facets))

-- name: jobs
-- The next of the jobs with one of these facets, each once; `running` for those that could get a signal.
select s.run_id, j.jid, coalesce(j.state = 'running', false) as running
from (
    select distinct s.run_id
    from durable.job_stats s
    where s.app_id = :app_id and s.graph = :graph and md5(s.key) = md5(:key) and s.key = :key and s.kind = 'index'
      and (:first::float8 is null or s.slot >= to_timestamp(:first)) and (:end::float8 is null or s.slot < to_timestamp(:end))
      and (cardinality(:facets::text[]) = 0 or s.target = any(:facets))
      and s.run_id > :after and s.run_id <= :last
    order by s.run_id limit :limit
) s left join durable.jobs j on j.run_id = s.run_id
order by s.run_id

-- name: forget_index
-- The index was for one use. What another signal or the end of the job deletes in this moment is left to it.
delete from durable.job_stats s
where s.ctid in (
    select i.ctid from durable.job_stats i
    where i.kind = 'index' and i.run_id = any(:run_ids::bigint[])
      and i.app_id = :app_id and i.graph = :graph and i.key = :key and (cardinality(:facets::text[]) = 0 or i.target = any(:facets))
    for update of i skip locked)
