-- What the low-stock rule judges by: one row per item. Written by the projection `stock_watch`
-- alone, as are the openings and resolutions of episodes and the making of deliveries.
create table stock_watch (
    sku           text    not null primary key,
    name          text    not null,
    on_hand       bigint  not null,
    reserved      bigint  not null,
    reorder_point bigint  not null,
    discontinued  boolean not null,
    episode_id    uuid                            -- the open one
) with (fillfactor = 80); -- hot items change with every batch: room on the page keeps that local

-- One row per episode: from the event that made a subject low to the one that ended it.
create table alert_episodes (
    id                uuid        not null primary key, -- UUIDv5 of the opening event's id
    rule              text        not null,
    subject           text        not null,
    name              text        not null,
    opened_at         timestamptz not null,             -- when the log recorded the event
    resolved_at       timestamptz,
    opened_event_id   uuid        not null,
    resolved_event_id uuid,
    available         bigint      not null,             -- when it opened
    reorder_point     bigint      not null,
    check ((resolved_at is null) = (resolved_event_id is null))
);
-- One alert per episode, one open episode per subject.
create unique index alert_episodes_open on alert_episodes (rule, subject) where resolved_at is null;
create index alert_episodes_by_opened_at on alert_episodes (opened_at, id);
create index alert_episodes_by_subject on alert_episodes (subject, opened_at, id);

-- What is told to the webhook. The body is frozen here, so a repeat is the same to the byte.
create table deliveries (
    id                uuid        not null primary key, -- the webhook-id: UUIDv5 of episode and kind
    episode_id        uuid        not null references alert_episodes (id),
    kind              text        not null check (kind in ('opened', 'resolved')),
    body              text        not null,
    not_before        timestamptz not null,             -- the cooldown's end
    next_attempt_at   timestamptz not null,
    attempts          int         not null default 0,
    last_attempt_at   timestamptz,
    -- An attempt was made whose outcome is not certainly a no: the receiver may have taken it.
    receiver_may_know boolean     not null default false,
    last_error        text,
    delivered_at      timestamptz,
    abandoned_at      timestamptz,                      -- too many attempts
    withdrawn_at      timestamptz,                      -- resolved before it was told
    unique (episode_id, kind),
    check (num_nonnulls(delivered_at, abandoned_at, withdrawn_at) <= 1)
);
create index deliveries_due on deliveries (next_attempt_at)
    where delivered_at is null and abandoned_at is null and withdrawn_at is null;

-- Receivers that answered 410 Gone: nothing is posted there any more. To take one up again, delete
-- its row, or configure another address.
create table disabled_endpoints (
    id          uuid        not null primary key,       -- UUIDv5 of the address
    disabled_at timestamptz not null default now(),
    delivery_id uuid        not null                    -- what it refused
);
