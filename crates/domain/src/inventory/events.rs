//! What can happen to an item. Facts only: their time, order and cause stand in the envelope.
//! The fields are those of the schema files, in their order.

use factline_core::{Sample, event_set};
use serde::{Deserialize, Serialize};

event_set! {
    /// Everything that can happen to an item.
    pub enum InventoryEvent of "inventory" {
        ItemAdded: "item_added.v1",
        StockReceived: "stock_received.v1",
        ItemSold: "item_sold.v1",
        ItemReturned: "item_returned.v1",
        StockAdjusted: "stock_adjusted.v1",
        StockReserved: "stock_reserved.v1",
        ReservationReleased: "reservation_released.v1",
        ReservationShipped: "reservation_shipped.v1",
        PriceChanged: "price_changed.v1",
        ReorderPointChanged: "reorder_point_changed.v1",
        ItemRenamed: "item_renamed.v1",
        ItemDiscontinued: "item_discontinued.v1",
    }
}

/// A new item stands in the catalogue, with its opening stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemAdded {
    /// What people call it.
    pub name: String,
    /// Opening stock in units, at least 0.
    pub quantity: i64,
    /// Sales price of one unit in minor units of the currency, at least 0.
    pub unit_price_cents: i64,
    /// The item is low when the available units are at or below this.
    pub reorder_point: i64,
    /// ISO 4217 code of all the item's amounts, for its whole life.
    pub currency: String,
}

impl Sample for ItemAdded {
    fn sample() -> Self {
        Self {
            name: "White Hanging Heart T-Light Holder".to_owned(),
            quantity: 6,
            unit_price_cents: 255,
            reorder_point: 5,
            currency: "GBP".to_owned(),
        }
    }
}

/// Units arrived at the warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReceived {
    /// Units, at least 1.
    pub quantity: i64,
    /// The item's sales price from now on; null when the receipt left it as it was.
    #[serde(default)]
    pub unit_price_cents: Option<i64>,
}

impl Sample for StockReceived {
    fn sample() -> Self {
        Self { quantity: 6, unit_price_cents: Some(255) }
    }
}

/// Units were sold and left the warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemSold {
    /// Units, at least 1.
    pub quantity: i64,
    /// What one unit was sold for, at least 1; not always the item's price.
    pub unit_price_cents: i64,
    /// quantity times unit_price_cents.
    pub revenue_cents: i64,
    /// ISO 4217 code of the amounts.
    pub currency: String,
    /// Where the buyer is, as the seller named it; null when not known.
    #[serde(default)]
    pub country: Option<String>,
}

impl Sample for ItemSold {
    fn sample() -> Self {
        Self {
            quantity: 6,
            unit_price_cents: 255,
            revenue_cents: 1_530,
            currency: "GBP".to_owned(),
            country: Some("United Kingdom".to_owned()),
        }
    }
}

/// Sold units came back to the warehouse and were refunded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemReturned {
    /// Units, at least 1.
    pub quantity: i64,
    /// What was paid back in all, at least 0.
    pub refund_cents: i64,
    /// ISO 4217 code of the amount.
    pub currency: String,
    /// Why they came back.
    pub reason: String,
}

impl Sample for ItemReturned {
    fn sample() -> Self {
        Self {
            quantity: 6,
            refund_cents: 1_530,
            currency: "GBP".to_owned(),
            reason: "damaged in transport".to_owned(),
        }
    }
}

/// A count or a loss corrected the units on hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockAdjusted {
    /// Units added; negative for units taken away. Never 0.
    pub delta: i64,
    /// Why the books were wrong.
    pub reason: String,
}

impl Sample for StockAdjusted {
    fn sample() -> Self {
        Self { delta: -2, reason: "damaged in transport".to_owned() }
    }
}

/// Units are promised to a reservation: still on hand, no longer available.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReserved {
    /// Who they are promised to, unique within the item.
    pub reservation_id: String,
    /// Units, at least 1.
    pub quantity: i64,
}

impl Sample for StockReserved {
    fn sample() -> Self {
        Self { reservation_id: "018f3c1e-7b1a-7000-8000-000000000001".to_owned(), quantity: 6 }
    }
}

/// A promise was withdrawn: its units are available again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationReleased {
    /// Whose promise it was.
    pub reservation_id: String,
    /// All the units of the reservation.
    pub quantity: i64,
}

impl Sample for ReservationReleased {
    fn sample() -> Self {
        Self { reservation_id: "018f3c1e-7b1a-7000-8000-000000000001".to_owned(), quantity: 6 }
    }
}

/// A promise was kept: its units left the warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationShipped {
    /// Whose promise it was.
    pub reservation_id: String,
    /// All the units of the reservation.
    pub quantity: i64,
}

impl Sample for ReservationShipped {
    fn sample() -> Self {
        Self { reservation_id: "018f3c1e-7b1a-7000-8000-000000000001".to_owned(), quantity: 6 }
    }
}

/// The item costs something else from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceChanged {
    /// The price from now on, at least 0.
    pub unit_price_cents: i64,
    /// The price until now.
    pub previous_unit_price_cents: i64,
}

impl Sample for PriceChanged {
    fn sample() -> Self {
        Self { unit_price_cents: 255, previous_unit_price_cents: 229 }
    }
}

/// The item counts as low at another level from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReorderPointChanged {
    /// The level from now on, at least 0.
    pub reorder_point: i64,
    /// The level until now.
    pub previous_reorder_point: i64,
}

impl Sample for ReorderPointChanged {
    fn sample() -> Self {
        Self { reorder_point: 5, previous_reorder_point: 3 }
    }
}

/// The item has another name from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRenamed {
    /// The name from now on.
    pub name: String,
    /// The name until now.
    pub previous_name: String,
}

impl Sample for ItemRenamed {
    fn sample() -> Self {
        Self {
            name: "White Hanging Heart T-Light Holder".to_owned(),
            previous_name: "T-Light Holder".to_owned(),
        }
    }
}

/// The item is neither bought nor sold any more; what is reserved is still shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemDiscontinued {
    /// Units still in the warehouse, reserved ones included.
    pub on_hand: i64,
    /// Why, when somebody said so.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Sample for ItemDiscontinued {
    fn sample() -> Self {
        Self { on_hand: 12, reason: Some("damaged in transport".to_owned()) }
    }
}
