//! The inventory's no.

use factline_core::{Refusal, RefusalKind};
use serde_json::{Map, Value, json};

use crate::values::MAX_TOTAL;

/// Why an item refuses a command. Nothing was written; the same command may succeed later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InventoryRefusal {
    /// There is such an item already.
    #[error("the item exists already")]
    ItemExists,
    /// There is no such item.
    #[error("there is no such item")]
    UnknownItem,
    /// More was asked for than is available.
    #[error("{requested} units were asked for and {available} are available")]
    InsufficientStock {
        /// Units on hand that are not reserved.
        available: i64,
        /// Units asked for.
        requested: i64,
    },
    /// The item is neither bought nor sold any more.
    #[error("the item is discontinued")]
    ItemDiscontinued,
    /// The units on hand would no longer cover what is promised.
    #[error("{resulting} units would be on hand while {reserved} are reserved")]
    BelowReserved {
        /// Units promised to reservations.
        reserved: i64,
        /// Units on hand if the correction were made.
        resulting: i64,
    },
    /// The reservation exists with another quantity.
    #[error("the reservation holds {reserved} units, not {requested}")]
    ReservationConflict {
        /// Units that the reservation holds.
        reserved: i64,
        /// Units asked for.
        requested: i64,
    },
    /// The item has no such reservation.
    #[error("the item has no such reservation")]
    UnknownReservation,
    /// A sale needs a price of at least one cent.
    #[error("a sale at {unit_price_cents} cents is not a sale")]
    InvalidPrice {
        /// The price that the sale would have had.
        unit_price_cents: i64,
    },
    /// A total would become larger than a reader of JSON can be trusted with.
    #[error("a total would exceed {MAX_TOTAL}")]
    OutOfRange,
}

impl Refusal for InventoryRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::ItemExists => "item_exists",
            Self::UnknownItem => "unknown_item",
            Self::InsufficientStock { .. } => "insufficient_stock",
            Self::ItemDiscontinued => "item_discontinued",
            Self::BelowReserved { .. } => "below_reserved",
            Self::ReservationConflict { .. } => "reservation_conflict",
            Self::UnknownReservation => "unknown_reservation",
            Self::InvalidPrice { .. } => "invalid_price",
            Self::OutOfRange => "out_of_range",
        }
    }

    fn kind(&self) -> RefusalKind {
        match self {
            Self::ItemExists => RefusalKind::Exists,
            Self::UnknownItem | Self::UnknownReservation => RefusalKind::Unknown,
            Self::InsufficientStock { .. }
            | Self::ItemDiscontinued
            | Self::BelowReserved { .. }
            | Self::ReservationConflict { .. }
            | Self::InvalidPrice { .. }
            | Self::OutOfRange => RefusalKind::Rule,
        }
    }

    fn details(&self) -> Map<String, Value> {
        let figures = match self {
            Self::InsufficientStock { available, requested } => {
                json!({"available": available, "requested": requested})
            }
            Self::BelowReserved { reserved, resulting } => {
                json!({"reserved": reserved, "resulting": resulting})
            }
            Self::ReservationConflict { reserved, requested } => {
                json!({"reserved": reserved, "requested": requested})
            }
            Self::InvalidPrice { unit_price_cents } => {
                json!({"unit_price_cents": unit_price_cents})
            }
            Self::OutOfRange => json!({"limit": MAX_TOTAL}),
            Self::ItemExists
            | Self::UnknownItem
            | Self::ItemDiscontinued
            | Self::UnknownReservation => json!({}),
        };
        figures.as_object().cloned().unwrap_or_default()
    }
}
