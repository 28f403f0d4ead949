//! What every count of sales has in common.

use domain::inventory::ItemSold;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A number of sales, and what they moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Sales {
    /// How many sales.
    pub sales: i64,
    /// Units sold in them.
    pub units_sold: i64,
    /// What they brought in, in minor units of the currency.
    pub revenue_cents: i64,
}

impl Sales {
    /// With one sale more. Saturates: a statistic that is full stays readable.
    #[must_use]
    pub const fn with(self, sold: &ItemSold) -> Self {
        Self {
            sales: self.sales.saturating_add(1),
            units_sold: self.units_sold.saturating_add(sold.quantity),
            revenue_cents: self.revenue_cents.saturating_add(sold.revenue_cents),
        }
    }
}
