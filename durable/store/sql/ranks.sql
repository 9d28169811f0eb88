-- The priorities that there are among what waits in a stream, one probe each: so that what is due is found without
-- going through all that waits. `:kind` is a condition on the rows `w`, as the index has it:
-- `(select 'worker')` rather than the word, which would let a plan go through the index of all work instead.
:name as (
    -- include: rank(table = :table; stream = :stream; kind = :kind; below = true)
    union all
    select
    -- include: rank(table = :table; stream = :stream; kind = :kind; below = w.priority < r.priority)
    from :name r where r.priority is not null
)
