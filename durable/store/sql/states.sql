-- name: write
-- Of jobs that the step holds. Apart from the row's own write, since few steps have any of it.
update durable.jobs j
set entity = coalesce(s.entity, j.entity), attributes = coalesce(s.attributes::jsonb, j.attributes),
    document = coalesce(s.document::jsonb, j.document),
    markers = case when s.markers is null then j.markers else coalesce(j.markers, '{}') || s.markers::jsonb end
from unnest(:states.*) as s(:states)
where j.run_id = any(array[s.run_id])

-- name: markers
select j.markers from durable.jobs j where j.run_id = :run_id

-- name: of_id
select j.run_id, j.jid, j.graph, j.state, j.status, j.entity, j.document, j.attributes, j.created_at, j.finished_at
from durable.jobs j where j.scope = :app_id and j.entity = :entity and j.jid between :jid and :jid
order by j.jid desc, j.run_id desc limit 1

-- name: find
-- By their kind, whose index gives the newest first.
select j.run_id, j.jid, j.graph, j.state, j.status, j.entity, j.document, j.attributes, j.created_at, j.finished_at
from durable.jobs j
where j.scope = :app_id and j.entity is not null and (:entity::text is null or j.entity = :entity) and :attributes::text is null
  and durable.fits_v1(j.document, :paths::text[], :operators::text[], :values::text[])
order by j.run_id desc limit :limit offset :skipped

-- name: find_having
-- By attributes, whose index finds few; whether they have an entity or not.
select j.run_id, j.jid, j.graph, j.state, j.status, j.entity, j.document, j.attributes, j.created_at, j.finished_at
from durable.jobs j
where j.scope = :app_id and (:entity::text is null or j.entity = :entity) and j.attributes @> :attributes::jsonb
  and durable.fits_v1(j.document, :paths::text[], :operators::text[], :values::text[])
order by j.run_id desc limit :limit offset :skipped

-- name: find_containing
-- By parts of the document: its index is asked once for each. What is found is compared again, exactly.
with found as materialized (
    select distinct j.run_id
    from unnest(:parts::text[]) as p(part) join durable.jobs j on j.document @> p.part::jsonb
)
select j.run_id, j.jid, j.graph, j.state, j.status, j.entity, j.document, j.attributes, j.created_at, j.finished_at
from found f join durable.jobs j on j.run_id = f.run_id
where j.scope = :app_id and (:entity::text is null or j.entity = :entity) and (:attributes::text is null or j.attributes @> :attributes::jsonb)
  and durable.fits_v1(j.document, :paths::text[], :operators::text[], :values::text[])
order by j.run_id desc limit :limit offset :skipped
