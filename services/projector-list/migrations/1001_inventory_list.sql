-- One row per item, as a catalogue shows it. Written by the projection `inventory_list` alone.
-- Text sorts by bytes (collation "C"), so that pages come in one order on every server.
create table inventory_list (
    sku              text collate "C" not null primary key,
    name             text collate "C" not null,
    unit_price_cents bigint           not null check (unit_price_cents >= 0),
    currency         text             not null,
    on_hand          bigint           not null,
    reserved         bigint           not null check (reserved >= 0),
    available        bigint           not null check (available = on_hand - reserved and available >= 0),
    reorder_point    bigint           not null,
    status           text             not null
                     check (status in ('in_stock', 'low', 'out', 'discontinued')),
    last_updated_at  timestamptz      not null,
    version          bigint           not null
) with (fillfactor = 80); -- hot items change with every batch: room on the page keeps that local

-- One index an order; the key at its end makes every order total, as keyset pages need it.
create index inventory_list_by_name on inventory_list (name, sku);
create index inventory_list_by_available on inventory_list (available, sku);
create index inventory_list_by_unit_price_cents on inventory_list (unit_price_cents, sku);
create index inventory_list_by_last_updated_at on inventory_list (last_updated_at, sku);
