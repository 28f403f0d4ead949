//! The inventory: one stream per item, named by its SKU.
//!
//! [`InventoryCommand`]s flow in, [`Item`] decides them, [`InventoryEvent`]s or an
//! [`InventoryRefusal`] flow out. [`StockLevel`] and [`low_stock`] are the pure parts of what
//! watches the events.
//!
//! What is available is `on_hand - reserved` and is never negative. A discontinued item takes no
//! new promises: it refuses sales, reservations and receipts. Promises made before are kept, so its
//! reservations are still shipped or released; its stock may be corrected, its sold units may come
//! back, and its name, price and reorder point may be set right.

mod commands;
mod decisions;
mod events;
mod item;
mod level;
pub mod low_stock;
mod refusal;

pub use commands::{
    AddItem, AdjustStock, ChangePrice, ChangeReorderPoint, DEFAULT_REORDER_POINT, DiscontinueItem,
    InventoryCommand, ReceiveStock, ReleaseReservation, RenameItem, ReserveStock, ReturnItem,
    SellItem, ShipReservation, StockItem,
};
pub use events::{
    InventoryEvent, ItemAdded, ItemDiscontinued, ItemRenamed, ItemReturned, ItemSold, PriceChanged,
    ReorderPointChanged, ReservationReleased, ReservationShipped, StockAdjusted, StockReceived,
    StockReserved,
};
pub use item::{Item, KnownItem};
pub use level::StockLevel;
pub use refusal::InventoryRefusal;
