-- Money that has to go back, filed for whoever pays it. An order is refunded once.
create table refunds (
    order_id     text        not null primary key,
    payment_id   text,                               -- as whoever took the money names it
    amount_cents bigint      not null check (amount_cents > 0),
    currency     text        not null,
    filed_at     timestamptz not null default now()
);
