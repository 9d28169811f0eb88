-- The quorum of an app: who takes part, what they say to each other, and how fast each may claim.

-- Engines (topic is null) and workers. Who is in it and has no member any more is dead.
create table durable.quorum (
    guid text primary key,
    member_id bigint not null,
    app_id text not null,
    topic text,
    joined_at timestamptz not null
);

create index quorum_app on durable.quorum (app_id);

-- What is said on the bus; notifications carry only ids. An answer names the call that it answers.
-- Rows are read within seconds, and deleted by later speakers.
create table durable.quorum_messages (
    id bigint primary key default nextval('durable.ids'),
    app_id text not null,
    sender text not null,
    answers bigint,
    message json not null,
    sent_at timestamptz not null
);

create index quorum_messages_answers on durable.quorum_messages (answers) where answers is not null;
create index quorum_messages_sent on durable.quorum_messages (app_id, sent_at);

-- How fast consumers claim: -1 not at all, else milliseconds between claims. The narrowest row that covers a
-- consumer applies; setting a wide one deletes the narrower ones within it.
create table durable.throttles (
    app_id text not null,
    target text not null check (target in ('all', 'engines', 'workers', 'topic', 'guid')),
    name text not null default '',
    throttle integer not null check (throttle >= -1),
    set_at timestamptz not null,
    primary key (app_id, target, name)
);

-- What applies to one consumer (`served` is null for an engine). It returns a set of one row so that Postgres
-- plans it as a part of the claim.
create function durable.throttle_v1(app text, served text, consumer text) returns setof integer
language sql stable as $$
    select coalesce((
        select t.throttle from durable.throttles t
        where t.app_id = app and case t.target
            when 'guid' then t.name = consumer
            when 'topic' then t.name = served
            when 'workers' then served is not null
            when 'engines' then served is null
            else true end
        order by case t.target when 'guid' then 0 when 'topic' then 1 when 'all' then 3 else 2 end
        limit 1), 0)
$$;
