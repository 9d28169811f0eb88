-- name: has_graphs
-- Whether hand-written graphs of an app are live: else nothing waits for its topics.
select exists(select from durable.apps a where a.app_id = :app and a.active_version is not null)

-- name: take
-- Work of the topics that a worker of functions serves, as `graph_messages: take` does for one: the policy of a
-- function applies where the activity of the graph has none. One probe for each topic; paused ones are left out.
with quick as materialized (
    select set_config('synchronous_commit', 'off', true)
), due as materialized (
    select d.id, t.attempts, t.coefficient, t.longest, t.first
    from unnest(:topics.*) as t(:topics) cross join lateral (
        select w.id from durable.worker_streams w
        where w.stream_name = :app || ':' || t.topic and w.msg_type = (select 'worker')  -- hidden from another index
          and w.visible_at <= durable.now() and w.reserved_by is null and w.expired_at is null
        order by w.priority desc, w.visible_at
        limit :limit for update skip locked
    ) d
    where (select x.ms from durable.throttle_v1(:app, t.topic, (:member::bigint)::text) as x(ms)) >= 0
    limit :limit
), taken as (
    -- By an array: a join may go through the whole table, where the planner thinks that much is due.
    update durable.worker_streams w
    set reserved_by = :member, reserved_at = durable.now(),
        max_retry_attempts = case when (w.metadata ->> 'retry') is distinct from 'activity'
            then (select d.attempts from due d where d.id = w.id) else w.max_retry_attempts end,
        backoff_coefficient = case when (w.metadata ->> 'retry') is distinct from 'activity'
            then (select d.coefficient::numeric from due d where d.id = w.id) else w.backoff_coefficient end,
        maximum_interval_seconds = case when (w.metadata ->> 'retry') is distinct from 'activity'
            then (select d.longest::numeric from due d where d.id = w.id) else w.maximum_interval_seconds end,
        initial_interval_seconds = case when (w.metadata ->> 'retry') is distinct from 'activity'
            then (select d.first::numeric from due d where d.id = w.id) else w.initial_interval_seconds end
    from quick
    where w.id = any(array(select id from due))
    returning w.*
)
select t.id, t.run_id, t.jid, t.aid, t.dad, t.topic, t.workflow_name, t.message, t.metadata, t.retry_attempt, t.losses,
    t.max_retry_attempts, t.backoff_coefficient::float8, t.maximum_interval_seconds::float8,
    t.initial_interval_seconds::float8,
    (select x.ms from durable.throttle_v1(:app, t.topic, (:member::bigint)::text) as x(ms)) as throttle
from taken t order by t.priority desc, t.visible_at, t.id
