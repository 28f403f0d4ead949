-- How much of each item there is. Written by the inline view `stock_levels` alone, in the transactions that
-- append; the schema `inline` is the log's.
create table if not exists inline.stock_levels (
    sku          text collate "C" not null primary key,
    on_hand      bigint           not null,
    reserved     bigint           not null check (reserved >= 0),
    available    bigint           not null check (available = on_hand - reserved and available >= 0),
    discontinued boolean          not null,
    version      bigint           not null
) with (fillfactor = 80); -- hot items change with every append: room on the page keeps that local
