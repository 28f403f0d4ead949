-- What the warehouse has to send, one row an order; a request since `requested_at`. Written by the
-- projection `shipment_requests` alone.
create table shipment_requests (
    order_id         text collate "C" not null primary key,
    customer_id      text             not null,
    shipping_address text             not null,
    items            jsonb            not null,
    requested_at     timestamptz,               -- null: not paid yet, so there is nothing to send
    shipped_at       timestamptz,
    tracking_number  text,
    carrier          text,
    withdrawn_at     timestamptz,
    check (num_nonnulls(shipped_at, withdrawn_at) <= 1)
) with (fillfactor = 80);

-- The work list, the oldest request first: few of all orders that ever were.
create index shipment_requests_open on shipment_requests (requested_at, order_id)
    where requested_at is not null and shipped_at is null and withdrawn_at is null;
create index shipment_requests_all on shipment_requests (requested_at, order_id)
    where requested_at is not null;
