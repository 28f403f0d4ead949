-- A sum of whole numbers as a whole number again: nothing counts as 0, and what is beyond the type
-- is cut to its largest value.
create function fit(total numeric) returns bigint
    language sql immutable parallel safe
    return least(coalesce(total, 0), 9223372036854775807)::bigint;

-- What each item sold, has and is worth. Written by the projection `inventory_stats` alone.
-- Text sorts by bytes (collation "C"), so that ties come in one order on every server.
create table inventory_stats (
    sku               text collate "C" not null primary key,
    name              text             not null,
    on_hand           bigint           not null,
    reserved          bigint           not null,
    reorder_point     bigint           not null,
    discontinued      boolean          not null,
    low               boolean          not null,
    unit_price_cents  bigint           not null,
    currency          text             not null,
    stock_value_cents bigint           not null,
    sales             bigint           not null,
    units_sold        bigint           not null,
    revenue_cents     bigint           not null,
    returns           bigint           not null,
    units_returned    bigint           not null,
    refund_cents      bigint           not null,
    last_sale_at      timestamptz
) with (fillfactor = 80); -- hot items change with every batch: room on the page keeps that local
create index inventory_stats_by_revenue_cents on inventory_stats (revenue_cents desc, sku);

-- Sales by the day on which they occurred, UTC. Written by the projection `sales_by_day` alone.
create table sales_by_day (
    day           date   not null primary key,
    sales         bigint not null,
    units_sold    bigint not null,
    revenue_cents bigint not null
) with (fillfactor = 50); -- today's row changes with every batch

-- Sales by the buyer's country. Written by the projection `sales_by_country` alone.
create table sales_by_country (
    country       text collate "C" not null primary key,
    sales         bigint           not null,
    units_sold    bigint           not null,
    revenue_cents bigint           not null
) with (fillfactor = 50); -- the home market's row changes with every batch
