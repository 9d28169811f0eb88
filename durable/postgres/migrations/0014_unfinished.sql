-- Messages of graphs that an engine applies alone: reserved by its member, as the work of workers is, and found
-- by it when that is reaped. There are as many as engines at most.
create index engine_streams_reserved on durable.engine_streams (reserved_by) where reserved_by is not null;
