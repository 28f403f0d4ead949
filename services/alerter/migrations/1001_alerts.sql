-- What the low-stock rule judges by: one row per item. Written by the projection `stock_watch`
-- alone, as are the openings and resolutions of its episodes and the making of their deliveries.
create table stock_watch (
    sku           text    not null primary key,
    name          text    not null,
    on_hand       bigint  not null,
    reserved      bigint  not null,
    reorder_point bigint  not null,
    discontinued  boolean not null,
    episode_id    uuid                            -- the open one
) with (fillfactor = 80); -- hot items change with every batch: room on the page keeps that local

-- One row per episode: from what made a subject's alert open to what ended it.
create table alert_episodes (
    id                   uuid        not null primary key, -- UUIDv5 of the opening event's id, if any
    rule                 text        not null,
    subject              text        not null,
    name                 text        not null,
    severity             text        not null check (severity in ('info', 'warning', 'critical')),
    opened_at            timestamptz not null,             -- when the log recorded the event
    resolved_at          timestamptz,
    opened_event_id      uuid,                             -- null: a service's figure opened it
    resolved_event_id    uuid,
    figures              jsonb       not null,             -- what it was judged by when it opened
    acknowledged_at      timestamptz,                      -- nobody needs to be reminded since then
    acknowledged_by      text,
    acknowledgement_note text,
    check (resolved_event_id is null or resolved_at is not null),
    check ((acknowledged_at is null) = (acknowledged_by is null))
);
-- One alert per episode, one open episode per subject.
create unique index alert_episodes_open on alert_episodes (rule, subject) where resolved_at is null;
create index alert_episodes_by_opened_at on alert_episodes (opened_at, id);
create index alert_episodes_by_subject on alert_episodes (subject, opened_at, id);

-- What is told over a channel. The body is frozen here, so a repeat is the same to the byte.
create table deliveries (
    id                uuid        not null primary key, -- the webhook-id, or in a mail's Message-ID
    channel           text        not null check (channel in ('webhook', 'email')),
    kind              text        not null
                      check (kind in ('opened', 'reminded', 'resolved', 'summary', 'heartbeat')),
    episode_id        uuid        references alert_episodes (id),
    body              text        not null,
    not_before        timestamptz not null,             -- the end of the cooldown and the grouping
    next_attempt_at   timestamptz not null,
    attempts          int         not null default 0,
    first_attempt_at  timestamptz,
    last_attempt_at   timestamptz,
    -- An attempt was made whose outcome is not certainly a no: the receiver may have taken it.
    receiver_may_know boolean     not null default false,
    last_error        text,
    delivered_at      timestamptz,
    abandoned_at      timestamptz,                      -- too many attempts, or refused for good
    withdrawn_at      timestamptz,                      -- resolved before it was told
    summarised_at     timestamptz,                      -- told in a summary instead
    summary_id        uuid        references deliveries (id),
    check (num_nonnulls(delivered_at, abandoned_at, withdrawn_at, summarised_at) <= 1),
    check ((summarised_at is null) = (summary_id is null)),
    check ((episode_id is null) = (kind in ('summary', 'heartbeat')))
);
-- An episode is told once opened and once resolved over each channel; reminders may be many.
create unique index deliveries_once on deliveries (episode_id, kind, channel)
    where kind in ('opened', 'resolved');
create index deliveries_of_episode on deliveries (episode_id, kind);
create index deliveries_due on deliveries (channel, next_attempt_at)
    where delivered_at is null and abandoned_at is null and withdrawn_at is null
      and summarised_at is null;
-- How much was told in the last minute.
create index deliveries_by_first_attempt on deliveries (channel, first_attempt_at)
    where first_attempt_at is not null;

-- Receivers that answered 410 Gone: nothing is posted there any more. To take one up again, delete
-- its row, or configure another address.
create table disabled_endpoints (
    id          uuid        not null primary key,       -- UUIDv5 of the address
    disabled_at timestamptz not null default now(),
    delivery_id uuid        not null                    -- what it refused
);

-- While one is in force, nothing is told of what it matches. Rows stay, as the trail of who did what.
create table silences (
    id         uuid        not null primary key,        -- UUIDv5 of the caller's Idempotency-Key
    rule       text,                                    -- null: every rule
    subject    text,                                    -- null: every subject
    starts_at  timestamptz not null,
    ends_at    timestamptz not null,
    reason     text        not null,
    created_at timestamptz not null default now(),
    created_by text        not null,
    ended_at   timestamptz,                             -- before its time
    ended_by   text,
    check (rule is not null or subject is not null),
    check (ends_at > starts_at),
    check ((ended_at is null) = (ended_by is null))
);
create index silences_by_created_at on silences (created_at, id);
create index silences_by_end on silences (ends_at) where ended_at is null;
