-- name: lock_app
-- Deploying is one at a time per app; the row is there from the first deployment on.
insert into durable.apps (app_id) values (:app_id)
on conflict (app_id) do update set app_id = excluded.app_id
returning active_version

-- name: hold_app
-- Signals that must be parked wait for a deployment that is adding rules, and the other way round.
select app_id from durable.apps where app_id = any(:app_ids::text[]) order by app_id for share

-- name: insert_version
insert into durable.app_versions (app_id, version, descriptor, content_hash, generated, deployed_at)
values (:app_id, :version, :descriptor, :content_hash, :generated, durable.now())
on conflict (app_id, version) do nothing
returning version

-- name: has_version
select exists (select from durable.app_versions where app_id = :app_id and version = :version)

-- name: deployed_again
-- By a worker that started: what is served now is what was deployed last, after a rollback too.
update durable.app_versions a set deployed_at = durable.now()
where a.app_id = :app_id and a.version = :version and a.generated and exists (
    select from durable.app_versions newer
    where newer.app_id = a.app_id and newer.generated and newer.deployed_at > a.deployed_at
)

-- name: version
select descriptor, content_hash, generated from durable.app_versions where app_id = :app_id and version = :version

-- name: versions
select version, content_hash, generated, deployed_at, activated_at from durable.app_versions
where app_id = :app_id order by deployed_at, version

-- name: insert_rules
insert into durable.hook_rules (app_id, topic, rule, actual)
select :app_id, r.topic, r.rule, r.actual::json
from unnest(:rules.*) as r(:rules)
on conflict do nothing
returning topic, rule

-- name: rules
-- With the time, which what they compare may ask for.
select topic, rule, actual, durable.now() as now from durable.hook_rules where app_id = :app_id and topic = any(:topics::text[])

-- name: active
-- With the time, so that a start needs no other statement to know it.
select (select a.active_version from durable.apps a where a.app_id = :app_id) as active_version, durable.now() as now

-- name: activate
-- Refused, by touching nothing, for a version that is not there or was generated.
with wanted as (
    update durable.app_versions v set activated_at = durable.now()
    where v.app_id = :app_id and v.version = :version and not v.generated
    returning v.app_id, v.version
)
update durable.apps a set active_version = w.version, activated_at = durable.now()
from wanted w where a.app_id = w.app_id
returning a.active_version
