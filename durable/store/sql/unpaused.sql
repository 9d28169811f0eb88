-- Of `:names` those that no throttle of the task queue pauses. Of a queue in which nothing is paused no more is asked
-- than that.
:name as materialized (
    select case when exists (select from durable.throttles t where t.app_id = :queue and t.throttle < 0)
        then array(select n.name from unnest(:names) as n(name)
            where (select t.ms from durable.throttle_v1(:queue, n.name, (:member::bigint)::text) as t(ms)) >= 0)
        else :names end as names
)
