-- name: claim
-- Takes wake rows that have something to do. Losing a claim loses nothing, so its commit does not wait
-- for the disk. `marked` (retry_attempt) says that a cold turn is under way, until `survived`.
-- A run whose job is locked has a commit of an earlier claim under way: it is left for the next look, so that
-- the member that replays it sees what that wrote; and `hold` has commits refused that come later still.
with recursive
-- include: unpaused(name = unpaused; names = :workflows::text[]),
-- include: due(stream = :queue; kind = 'turn'; before = durable.now() - :waiting * interval '1 s'; served = w.workflow_name = any((select u.names from unpaused u)::text[]); allowed = true),
free as (
    -- By an array, here and below: so that the planner expects few rows, whatever it thinks of the limit.
    select j.run_id from durable.jobs j
    where j.run_id = any(array(select id from due)) for no key update skip locked
), taken as (
    update durable.worker_streams w
    set reserved_by = :member, reserved_at = durable.now(), retry_attempt = 1
    from quick where w.id = any(array(select run_id from free))
    returning w.id, w.losses
), held as (
    -- A run is pinned to the deployment of edits that is in force when it is claimed for the first time; it goes over
    -- to a later one only where that says so. Read by the same snapshot: all workers change over at one moment.
    update durable.jobs j set hold = j.hold + 1,
        edit = greatest(
            coalesce(j.edit, case when j.revision = 0 then (select a.edit from durable.apps a where a.app_id = :queue) end, 0),
            (select a.open_edit from durable.apps a where a.app_id = :queue))
    where j.run_id = any(array(select run_id from free))
    returning j.run_id, j.jid, j.app_id, j.graph, j.graph_version, j.state, j.revision, j.issued, j.pending,
        j.priority, j.input, j.created_at, j.hold, j.edit, case when j.revision = 0 then j.metadata end as state,
        case when j.revision = 0 then j.seed end as seed
)
-- A full join goes by hash, or in order: of an inner one a planner expects one row, and compares each with each.
select h.*, t.losses from held h full join taken t on t.id = h.run_id where coalesce(t.id = h.run_id, false)

-- name: origin
-- Which database this is: a copy is another one, and what is begun in it gets random numbers of its own.
select format('%s %s', (select s.system_identifier from pg_control_system() s),
    (select d.oid from pg_database d where d.datname = current_database()))

-- name: look
-- The poll beneath the notifications, one statement for both kinds: is something due, and when is the next?
-- The next time is that of any workflow or activity of the queue: whoever serves it looks then.
with recursive
-- include: unpaused(name = workflows; names = :workflows::text[]),
-- include: unpaused(name = activities; names = :activities::text[]),
-- include: ranks(name = turn_ranks; table = durable.worker_streams; stream = :queue; kind = w.msg_type = (select 'turn')),
-- include: ranks(name = activity_ranks; table = durable.worker_streams; stream = :queue; kind = w.msg_type = (select 'activity'))
select
    -- include: any_due(ranks = turn_ranks; kind = 'turn'; served = w.workflow_name = any((select u.names from workflows u)::text[]); name = turns),
    -- include: any_due(ranks = activity_ranks; kind = 'activity'; served = w.topic = any((select u.names from activities u)::text[]); name = activities),
    (select min(d.visible_at)
     from (select priority, 'turn' as kind from turn_ranks union all select priority, 'activity' from activity_ranks) r
     cross join lateral (
        select w.visible_at from durable.worker_streams w
        where w.stream_name = :queue and w.msg_type = r.kind and w.priority = r.priority
          and w.visible_at > durable.now() and w.reserved_by is null and w.expired_at is null
        order by w.visible_at limit 1) d) as next,
    -- Runs that this member holds and was not told of: who wrote to them died before its notification. Looked up
    -- run by run where all are looked at (`after` is null): of what waits for others there may be much more than a member
    -- can hold. Else from the rows that came after it; `expired_at` is asked for so that the index of inboxes, which
    -- has all that waits, does not serve.
    array(select w.id from durable.worker_streams w cross join lateral (
            select from durable.engine_streams e
            where e.run_id = w.id and e.expired_at is null and e.msg_type in :for_runs
              and e.created_at < durable.now() - interval '0.5 s' limit 1) unread
        where :after::bigint is null and w.reserved_by = :member and w.msg_type = 'turn' limit 500)
    || array(select r.run_id from (
            select e.run_id from durable.engine_streams e
            where e.id > :after and coalesce(e.expired_at, 'infinity') = 'infinity'
              and e.msg_type in :for_runs and e.created_at < durable.now() - interval '0.5 s'
            order by e.id limit 1000) r
        where (select w.reserved_by from durable.worker_streams w where w.id = r.run_id) = :member) as unread,
    pg_sequence_last_value('durable.ids') as last_id,
    coalesce((select a.open_edit from durable.apps a where a.app_id = :queue), 0) as open_edit,
    -- The throttles in force, in the order of the names, and the calls about them that this member has not answered.
    case when exists (select from durable.throttles t where t.app_id = :queue and t.throttle <> 0) then array(
        select t.ms from unnest(:workflows::text[] || :activities::text[]) with ordinality as n(name, place)
        cross join lateral durable.throttle_v1(:queue, n.name, (:member::bigint)::text) as t(ms)
        order by n.place) end as throttles,
    array(select c.id from durable.quorum_messages c
        where c.app_id = :queue and c.sent_at > durable.now() - interval '10 s' and c.answers is null
          and c.message ->> 'type' = 'throttle' and not exists (select from durable.quorum_messages a
            where a.answers = c.id and a.sender = (:member::bigint)::text)) as throttle_calls,
    -- What the tables say that this member has reserved; where it differs from what it knows, `held` follows.
    m.reserved, m.reserved_ids
from (select count(*) as reserved, coalesce(bit_xor(w.id), 0) as reserved_ids
      from durable.worker_streams w
      where :after::bigint is null and w.reserved_by = :member and w.expired_at is null) m

-- name: confirm_throttles
-- To those who set throttles: this member has read them.
insert into durable.quorum_messages (app_id, sender, answers, message, sent_at)
select :queue, (:member::bigint)::text, c.id, '{}', durable.now() from unnest(:calls::bigint[]) as c(id)

-- name: survived
-- The cold turns of runs that had taken a process down came to rest.
update durable.worker_streams set retry_attempt = 0 where id = any(:run_ids::bigint[]) and reserved_by = :member

-- name: give_back
select * from durable.give_back_v1(:member, :run_ids::bigint[], :times::timestamptz[])

-- name: held
-- What does the database think that we hold? Read where the look's number or ids differ from ours.
select id, run_id from durable.worker_streams where reserved_by = :member and expired_at is null

-- name: release_run
-- Gives back a run that could not go on here for no fault of its own. Each time in a row, without a step between,
-- its next try waits twice as long, up to five minutes; at `most` of them it is suspended.
-- The job is locked first, as everywhere.
with job as (
    select j.run_id, j.revision from durable.jobs j where j.run_id = :run_id and coalesce(j.finished_at, 'infinity') = 'infinity'
    for no key update
), mine as (
    select w.id, job.revision,
        case when w.released_revision = job.revision then coalesce(w.releases, 0) else 0 end + 1 as releases
    from job join durable.worker_streams w on w.id = any(array[job.run_id])
    where w.reserved_by = :member and w.msg_type = 'turn'
    for update of w
), stopped as (
    update durable.jobs j set state = 'suspended', error = :error::json
    from mine m where j.run_id = any(array[m.id]) and m.releases >= :most
)
update durable.worker_streams w
set reserved_by = null, reserved_at = null, releases = m.releases, released_revision = m.revision,
    error = :error::json, visible_at = case when m.releases >= :most then 'infinity'
        else durable.now() + make_interval(secs => least(300, power(2, least(m.releases, 20) - 1))) end
from mine m where w.id = any(array[m.id])
returning m.releases, least(300, power(2, least(m.releases, 20) - 1))::float8 as delay

-- name: gone
-- Of these runs and attempts those that a member holds no longer. It was told so by a notification,
-- which anybody may send.
select r.id, true as is_run from unnest(:run_ids::bigint[]) as r(id)
where not exists (select from durable.worker_streams w where w.id = any(array[r.id]) and w.msg_type = 'turn'
    and w.reserved_by is not distinct from :member and w.expired_at is null)
union all
select m.id, false from unnest(:attempts::bigint[]) as m(id)
where not exists (select from durable.worker_streams w where w.id = any(array[m.id])
    and w.reserved_by is not distinct from :member and w.expired_at is null)

-- name: release
-- Lets go of rows whose claim was answered into a broken connection.
update durable.worker_streams
set reserved_by = null, reserved_at = null, visible_at = durable.now()
where id = any(:ids::bigint[]) and reserved_by = :member

-- name: arrive
-- Messages from outside to open runs. Each goes into the inbox and pulls the wake row, which is locked
-- first: the holder, if there is one, is told after the commit; a run that ended takes nothing.
with asked as (
    select * from unnest(:messages.*) with ordinality as a(:messages, place)
), wake as (
    select w.id, w.reserved_by, w.visible_at, w.stream_name, w.workflow_name, w.jid
    from durable.worker_streams w
    where w.id = any(array(select run_id from asked)) and w.msg_type = 'turn'
    order by w.id + 0 for no key update
), written as (
    insert into durable.engine_streams (
        stream_name, workflow_name, jid, run_id, dad, msg_type, topic, message, error, request_id, created_at, visible_at)
    select w.stream_name, w.workflow_name, w.jid, w.id, a.dad, a.msg_type, a.topic, a.message::json, a.error::json,
        a.request_id, durable.now(), durable.now()
    from asked a join wake w on w.id = a.run_id
    order by a.place
    on conflict (request_id) where request_id is not null do nothing
), pulled as (
    update durable.worker_streams k set visible_at = durable.now()
    from wake w where k.id = any(array[w.id]) and w.reserved_by is null and w.visible_at > durable.now()
)
select w.id as run_id, w.reserved_by, w.stream_name from wake w

-- name: lock_wakes
-- Before requests are sent again: what was on its way when the connection broke has arrived, or never will.
select id as run_id, reserved_by, stream_name
from durable.worker_streams where id = any(:run_ids::bigint[]) order by id + 0 for no key update

-- name: arrived
-- Which of these requests have been taken: they are in an inbox, or in a history.
select e.request_id from durable.engine_streams e where e.request_id = any(:requests::uuid[])
union
select h.request_id from durable.history h
where h.run_id = any(:run_ids::bigint[]) and h.request_id = any(:requests::uuid[])

-- name: inboxes
-- What has arrived, in the order of arrival; messages of later versions, too, so that they are not passed over.
select id, run_id, msg_type, topic, aid, dad, message, error, created_at, retry_attempt, request_id
from durable.engine_streams
where run_id = any(:run_ids::bigint[]) and expired_at is null
order by id + 0

-- name: suspend
-- Stops a run whose code and history disagree, until other code comes or somebody resumes it. The
-- revision fences: a member that was overtaken does not suspend.
with stopped as (
    update durable.jobs j set state = 'suspended', error = :error::json
    where j.run_id = :run_id and j.revision = :revision and coalesce(j.finished_at, 'infinity') = 'infinity'
      and exists (select from durable.worker_streams w where w.id = :run_id and w.reserved_by = :member)
    returning j.run_id
)
update durable.worker_streams w set reserved_by = null, reserved_at = null, visible_at = 'infinity'
from stopped s where w.id = any(array[s.run_id]) returning w.id

-- name: resume
-- Lets suspended runs be tried again: those of one id, or those of workflows that a fresh worker brings.
with chosen as (
    update durable.jobs j set state = 'running', error = null
    where j.state = 'suspended' and j.finished_at is null and j.scope = ''
      and (:jid::text is null or j.jid = :jid)
      and (:queue::text is null or (j.app_id = :queue and j.graph = any(:workflows::text[])))
    returning j.run_id
), woken as (
    update durable.worker_streams w set visible_at = durable.now(), losses = 0, releases = null, error = null
    from chosen c where w.id = any(array[c.run_id]) returning w.stream_name
)
select distinct stream_name from woken

-- name: deliver_again
-- Signals that an open run put aside go back into its inbox, as they came. The wake row is locked first, as
-- for every arrival.
with wake as (
    select w.id, w.reserved_by, w.visible_at, w.stream_name from durable.worker_streams w
    where w.msg_type = 'turn' and w.id = any(array(
        select j.run_id from durable.jobs j where j.scope = '' and j.jid = :jid and j.finished_at is null))
    for no key update
), again as (
    update durable.engine_streams e set expired_at = null, dead_lettered_at = null, error = null
    where e.run_id = any(array(select w.id from wake w)) and e.msg_type = 'signal' and e.dead_lettered_at is not null
    returning e.run_id
), pulled as (
    update durable.worker_streams k set visible_at = durable.now()
    from wake w where k.id = any(array[w.id]) and w.reserved_by is null and w.visible_at > durable.now()
      and exists (select from again)
)
select w.id as run_id, w.reserved_by, w.stream_name from wake w where exists (select from again)

-- name: without_engine
-- Which of these apps no engine serves: what is awaited of their graphs waits.
select a.app from unnest(:apps::text[]) as a(app)
where not exists (select from durable.quorum q join durable.members m on m.member_id = q.member_id
    where q.app_id = a.app and q.topic is null)

-- name: unserved
-- What has been due in a queue for a while, and is not among what the asking worker serves.
select distinct d.msg_type, d.name from (
    select w.msg_type, case w.msg_type when 'turn' then w.workflow_name else w.topic end as name
    from durable.worker_streams w
    where w.stream_name = :queue and w.msg_type in ('turn', 'activity') and w.reserved_by is null
      and w.expired_at is null and w.visible_at < durable.now() - interval '5 s'
    limit 1000
) d
where d.name <> all(case d.msg_type when 'turn' then :workflows::text[] else :activities::text[] end)
order by 1, 2
