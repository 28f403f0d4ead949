-- Whom mail reaches, and where: one row per customer. Written by the projection `contacts` alone.
create table contacts (
    customer_id text not null primary key,
    name        text not null,
    email       text not null
);

-- Whose order it is, for events that do not say: one row per order. Written by the projection
-- `order_customers` alone.
create table order_customers (
    order_id    text not null primary key,
    customer_id text not null
);

-- Mail that reactions send. Made with the event that causes it, in its projection's transaction; to
-- whom it goes is looked up when it is sent, so it waits for a customer who is not known yet.
create table emails (
    id                uuid        not null primary key, -- UUIDv5 of event and reaction; the Message-ID
    reaction          text        not null,
    event_id          uuid        not null,
    customer_id       text,
    order_id          text,                             -- where the event does not name the customer
    subject           text        not null,
    text_body         text        not null,
    html_body         text        not null,
    created_at        timestamptz not null,             -- when the log recorded the event
    next_attempt_at   timestamptz not null,
    attempts          int         not null default 0,
    last_attempt_at   timestamptz,
    -- An attempt was made whose outcome is not certainly a no: the server may have taken it.
    receiver_may_know boolean     not null default false,
    last_error        text,
    delivered_at      timestamptz,
    abandoned_at      timestamptz,                      -- too many attempts, or refused for good
    withdrawn_at      timestamptz,                      -- too old to be of use
    unique (reaction, event_id),
    check (num_nonnulls(customer_id, order_id) = 1),
    check (num_nonnulls(delivered_at, abandoned_at, withdrawn_at) <= 1)
);
create index emails_due on emails (next_attempt_at)
    where delivered_at is null and abandoned_at is null and withdrawn_at is null;
