-- Where each order stands and what it comes to. Written by the projection `order_funnel` alone.
create table order_funnel (
    order_id    text collate "C" not null primary key,
    status      text             not null,
    currency    text             not null,
    total_cents bigint           not null
) with (fillfactor = 80); -- an order moves some six times: room on the page keeps that local

-- What was paid for, one row an order. Written by the projection `order_completed` alone, once a row.
create table order_completed (
    order_id     text collate "C" not null primary key,
    paid_on      date             not null, -- UTC
    method       text             not null,
    currency     text             not null,
    amount_cents bigint           not null
);
create index order_completed_by_day on order_completed (paid_on);
