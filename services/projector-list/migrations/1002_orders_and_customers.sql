-- One row per customer. Written by the projection `customer_list` alone.
-- Text sorts by bytes (collation "C"), so that pages come in one order on every server.
create table customer_list (
    id              text collate "C" not null primary key,
    name            text collate "C" not null,
    email           text collate "C" not null,
    registered_at   timestamptz      not null,
    last_updated_at timestamptz      not null,
    version         bigint           not null
);

-- Pages by name, and names that begin with a text; who has an address. Both change seldom.
create index customer_list_by_name on customer_list (name, id);
create index customer_list_by_email on customer_list (email);

-- One row per order, with its items. Written by the projection `order_list` alone.
create table order_list (
    id                    text collate "C" not null primary key,
    customer_id           text collate "C" not null,
    status                text             not null
                          check (status in ('draft', 'confirmed', 'pending', 'paid', 'shipped',
                                            'delivered', 'cancelled')),
    currency              text             not null,
    total_cents           bigint           not null check (total_cents >= 0),
    items                 jsonb            not null,
    shipping_address      text             not null,
    created_at            timestamptz      not null,
    confirmed_at          timestamptz,
    allocated_at          timestamptz,
    paid_at               timestamptz,
    payment_id            text,
    payment_method        text,
    payment_failed_reason text,
    shipped_at            timestamptz,
    tracking_number       text,
    carrier               text,
    estimated_delivery_on text,
    delivered_at          timestamptz,
    cancelled_at          timestamptz,
    cancel_reason         text,
    cancelled_by          text,
    refund_cents          bigint,
    last_updated_at       timestamptz      not null,
    version               bigint           not null
) with (fillfactor = 80); -- an order changes some six times: room on the page keeps that local

-- created_at never changes, so an order that gets items touches none of these; one that gets another
-- status touches the third. That is what it costs to find the few orders that are, say, paid and not
-- shipped among all that ever were.
create index order_list_by_created_at on order_list (created_at, id);
create index order_list_by_customer on order_list (customer_id, created_at, id);
create index order_list_by_status on order_list (status, created_at, id);
