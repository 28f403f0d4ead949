//! Where an order stands.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where an order stands. It moves down this list, and nowhere back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Items still come and go.
    Draft,
    /// Its items and prices are fixed; its stock is not reserved yet.
    Confirmed,
    /// Its stock is reserved; it waits for its payment.
    Pending,
    /// Paid in full.
    Paid,
    /// On its way.
    Shipped,
    /// Arrived.
    Delivered,
    /// Given up before it was shipped.
    Cancelled,
}

impl OrderStatus {
    /// Every one, in that order.
    pub const ALL: [Self; 7] = [
        Self::Draft,
        Self::Confirmed,
        Self::Pending,
        Self::Paid,
        Self::Shipped,
        Self::Delivered,
        Self::Cancelled,
    ];

    /// The word in JSON, SQL and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Confirmed => "confirmed",
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
