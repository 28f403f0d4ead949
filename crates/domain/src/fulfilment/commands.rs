//! What the process may ask of others.

use serde::{Deserialize, Serialize};

/// One command to an item, to the order, or to whoever has the money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command")]
#[allow(missing_docs)] // as the commands of that name say
pub enum FulfilmentCommand {
    #[serde(rename = "inventory.reserve_stock")]
    ReserveStock { sku: String, reservation_id: String, quantity: i64 },
    #[serde(rename = "inventory.release_reservation")]
    ReleaseReservation { sku: String, reservation_id: String },
    #[serde(rename = "inventory.ship_reservation")]
    ShipReservation { sku: String, reservation_id: String },
    #[serde(rename = "order.allocate_order")]
    AllocateOrder { order_id: String },
    #[serde(rename = "order.cancel_order")]
    CancelOrder {
        order_id: String,
        reason: String,
        /// Only if nothing has happened to the order since this version; otherwise `version_mismatch`.
        at_version: Option<i64>,
    },
    /// The money of a cancelled order goes back. No command of the log: a port.
    #[serde(rename = "payment.refund")]
    RefundPayment {
        order_id: String,
        payment_id: Option<String>,
        amount_cents: i64,
        currency: String,
    },
}
