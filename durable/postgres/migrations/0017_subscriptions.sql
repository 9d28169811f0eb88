-- Meshes that are to hear of the ends of functions' runs: whoever ends one reads here which channels to notify, beside
-- those that the run itself names. `topic` is the name of a workflow, or '*' for all of the task queue. A mesh renews
-- `seen_at` as long as it lives; what is old is left of one that died.
create table durable.subscriptions (
    app_id text not null,
    topic text not null,
    channel text not null,
    subscriber text not null,
    seen_at timestamptz not null,
    primary key (app_id, topic, channel, subscriber)
);
