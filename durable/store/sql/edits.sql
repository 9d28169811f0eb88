-- name: graphs
-- Which of these versions are stored: they are hashes of what they say, which is compared all the same.
select g.graph, g.version, v.document
from unnest(:graphs.graph, :graphs.version) as g(graph, version)
join durable.graph_versions v on v.app_id = :app_id and v.graph = g.graph and v.version = g.version

-- name: insert_graphs
insert into durable.graph_versions (app_id, graph, version, document, created_at)
select :app_id, g.graph, g.version, g.document::json, durable.now()
from unnest(:graphs.*) as g(:graphs)
on conflict do nothing

-- name: lock
-- Deployments of a task queue follow each other; the row is there from the first one on.
insert into durable.apps (app_id) values (:app_id)
on conflict (app_id) do update set app_id = excluded.app_id
returning edit, open_edit

-- name: in_force
-- What is changed of the descriptors of a task queue now, and by whom.
select graph, activity, field, value, base, base_version, author, made_at, since from durable.graph_edits
where app_id = :app_id and until is null order by graph, activity, field

-- name: at
-- What each of these deployments has changed.
select n.number, e.graph, e.activity, e.field, e.value, e.base
from unnest(:numbers::int[]) as n(number)
join durable.graph_edits e on e.app_id = :app_id and e.since <= n.number and (e.until is null or e.until > n.number)
order by n.number, e.graph, e.activity, e.field

-- name: end_edits
update durable.graph_edits e set until = :number
from unnest(:edits.graph, :edits.activity, :edits.field) as g(graph, activity, field)
where e.app_id = :app_id and e.until is null and e.graph = g.graph and e.activity = g.activity and e.field = g.field

-- name: insert_edits
insert into durable.graph_edits (app_id, since, graph, activity, field, value, base, base_version, author, made_at)
select :app_id, :number, g.graph, g.activity, g.field, g.value::json, g.base::json, :base_version, :author,
    durable.now()
from unnest(:edits.*) as g(:edits)

-- name: set_edit
-- The moment of a deployment is the commit of this: every later claim of a new run reads it.
update durable.apps set edit = :number, open_edit = case when :open_runs then :number else open_edit end
where app_id = :app_id

-- name: generated
-- A descriptor that functions generated for a task queue; of no version: the one that was deployed last.
select version, descriptor from durable.app_versions
where app_id = :app_id and generated and (:version::text is null or version = :version)
order by deployed_at desc limit 1

-- name: generated_versions
select version from durable.app_versions where app_id = :app_id and generated order by deployed_at desc limit 20

-- name: serve
update durable.members set app_id = :app_id, app_version = :version where member_id = :member

-- name: served
-- The descriptors that live members serve, and how many serve each.
select m.app_version as version, count(*)::int as workers from durable.members m
where m.app_id = :app_id and m.app_version is not null and m.beat_at > clock_timestamp() - interval '1 minute'
group by m.app_version order by 2 desc, 1

-- name: number
select edit from durable.apps where app_id = :app_id
