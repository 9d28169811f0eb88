-- Escalations: waits of hand-written graphs that a person is to end.

-- One row per wait of a hook with an `escalation`, written with the step in which the wait begins and closed with
-- that in which it ends, whatever ends it. Rows without a run are made from outside, and nothing waits for them.
-- A claim is no status: it holds while `assigned_until` lies ahead, and needs nobody to end it.
create table durable.escalations (
    id bigint primary key default nextval('durable.ids'),
    app_id text not null,
    run_id bigint,
    aid text,
    dad text,
    jid text,
    graph text,
    topic text,
    role text,
    type text,
    subtype text,
    entity text,
    priority integer not null default 5,
    description text,
    task_queue text,
    workflow_type text,
    origin_id text,
    parent_id text,
    initiated_by text,
    trace_id text,
    span_id text,
    status text not null default 'pending' check (status in ('pending', 'resolved', 'cancelled', 'expired')),
    assigned_to text,
    assigned_until timestamptz,
    claimed_at timestamptz,
    resolved_by text,
    resolved_at timestamptz,
    resolver_payload json,
    envelope json,
    metadata jsonb not null default '{}',
    milestones jsonb not null default '[]',
    expires_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

-- The work of a role, in its order; every list begins with the app and mostly means what is pending.
create index escalations_pending on durable.escalations (app_id, role, priority, created_at) where status = 'pending';
create index escalations_closed on durable.escalations (app_id, resolved_at) where status <> 'pending';
create index escalations_metadata on durable.escalations using gin (metadata jsonb_path_ops);
-- The steps of a job close what it waited for.
create index escalations_run on durable.escalations (run_id) where status = 'pending' and run_id is not null;
create index escalations_job on durable.escalations (app_id, jid) where jid is not null;
