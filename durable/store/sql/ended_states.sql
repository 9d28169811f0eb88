-- In which states runs of functions have ended, by one probe of the index for each.
states as (
    (select j.state from durable.jobs j where j.scope = '' and j.finished_at is not null order by j.state limit 1)
    union all
    select (select j.state from durable.jobs j where j.scope = '' and j.finished_at is not null and j.state > s.state
            order by j.state limit 1)
    from states s where s.state is not null
)
