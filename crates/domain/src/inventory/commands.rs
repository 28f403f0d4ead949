//! What can be asked of an item. The item's SKU is the stream's id and stands beside a command,
//! never in it.

use super::Item;
use crate::values::{
    Country, Currency, Delta, Name, Quantity, Reason, ReservationId, UnitPriceCents, Units,
};

/// The reorder point of an item that was added without one: the business's own default.
pub const DEFAULT_REORDER_POINT: i64 = 5;

command! {
    /// Adds an item to the catalogue, with its opening stock.
    pub struct AddItem = "inventory.add_item" {
        /// What people call it.
        pub name: Name,
        /// Opening stock in units.
        pub quantity: Units,
        /// Sales price of one unit in cents.
        pub unit_price_cents: UnitPriceCents,
        /// The item is low when the available units are at or below this; 5 when not given.
        pub reorder_point: Option<Units>,
        /// ISO 4217 code of all the item's amounts; USD when not given.
        pub currency: Option<Currency>,
    }
}

command! {
    /// Takes delivered units into stock.
    pub struct ReceiveStock = "inventory.receive_stock" {
        /// Units that arrived.
        pub quantity: Quantity,
        /// The sales price from now on, when it changes.
        pub unit_price_cents: Option<UnitPriceCents>,
    }
}

command! {
    /// Adds the item when it is new, otherwise receives the units at the given price; the name
    /// counts for a new item only.
    pub struct StockItem = "inventory.stock_item" {
        /// What people call it.
        pub name: Name,
        /// Units that arrived.
        pub quantity: Quantity,
        /// Sales price of one unit in cents.
        pub unit_price_cents: UnitPriceCents,
    }
}

command! {
    /// Sells available units.
    pub struct SellItem = "inventory.sell_item" {
        /// Units to sell.
        pub quantity: Quantity,
        /// What one unit is sold for, at least 1; the item's price when not given.
        pub unit_price_cents: Option<UnitPriceCents>,
        /// Where the buyer is.
        pub country: Option<Country>,
    }
}

command! {
    /// Takes sold units back and refunds them.
    pub struct ReturnItem = "inventory.return_item" {
        /// Units that came back.
        pub quantity: Quantity,
        /// Why they came back.
        pub reason: Reason,
        /// What is refunded for one unit; the item's price when not given.
        pub unit_price_cents: Option<UnitPriceCents>,
    }
}

command! {
    /// Corrects the units on hand after a count or a loss.
    pub struct AdjustStock = "inventory.adjust_stock" {
        /// Units to add; negative to take away.
        pub delta: Delta,
        /// Why the books were wrong.
        pub reason: Reason,
    }
}

command! {
    /// Promises available units to a reservation.
    pub struct ReserveStock = "inventory.reserve_stock" {
        /// Who they are promised to, unique within the item.
        pub reservation_id: ReservationId,
        /// Units to promise.
        pub quantity: Quantity,
    }
}

command! {
    /// Withdraws a promise; nothing happens when there is none.
    pub struct ReleaseReservation = "inventory.release_reservation" {
        /// Whose promise it is.
        pub reservation_id: ReservationId,
    }
}

command! {
    /// Keeps a promise: its units leave the warehouse.
    pub struct ShipReservation = "inventory.ship_reservation" {
        /// Whose promise it is.
        pub reservation_id: ReservationId,
    }
}

command! {
    /// Sets the item's sales price.
    pub struct ChangePrice = "inventory.change_price" {
        /// The price from now on.
        pub unit_price_cents: UnitPriceCents,
    }
}

command! {
    /// Sets the level at or below which the item is low.
    pub struct ChangeReorderPoint = "inventory.change_reorder_point" {
        /// The level from now on.
        pub reorder_point: Units,
    }
}

command! {
    /// Gives the item another name.
    pub struct RenameItem = "inventory.rename_item" {
        /// The name from now on.
        pub name: Name,
    }
}

command! {
    /// Ends the item: it is neither bought nor sold any more; what is reserved is still shipped.
    pub struct DiscontinueItem = "inventory.discontinue_item" {
        /// Why.
        pub reason: Option<Reason>,
    }
}

command_set! {
    /// Everything that can be asked of an item.
    pub enum InventoryCommand for Item {
        AddItem,
        ReceiveStock,
        StockItem,
        SellItem,
        ReturnItem,
        AdjustStock,
        ReserveStock,
        ReleaseReservation,
        ShipReservation,
        ChangePrice,
        ChangeReorderPoint,
        RenameItem,
        DiscontinueItem,
    }
}
