//! `inventory_stats`: what each item has, is worth and sold. An item's events flow in; totals over
//! all items, the best sellers and single items flow out.

use chrono::{DateTime, Utc};
use domain::inventory::{InventoryEvent, ItemAdded, ItemReturned, StockLevel};
use factline_core::{Fold, Folded, Recorded};
use factline_projection::{Rows, View};
use read_kit::{Cache, Fresh, Question, Reading};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::{IntoParams, ToSchema};

use crate::sales::Sales;

/// The view.
pub struct InventoryStats;

/// One item's figures.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ItemStats {
    /// The item's key.
    #[schema(example = "85123A")]
    pub sku: String,
    /// What people call it.
    pub name: String,
    /// Units in the warehouse, reserved ones included.
    pub on_hand: i64,
    /// Units promised to reservations.
    pub reserved: i64,
    /// The item is low when the available units are at or below this.
    pub reorder_point: i64,
    /// Neither bought nor sold any more.
    pub discontinued: bool,
    /// Somebody should order more.
    pub low: bool,
    /// Sales price of one unit in minor units of the currency.
    pub unit_price_cents: i64,
    /// ISO 4217, of all the item's amounts.
    #[schema(example = "GBP")]
    pub currency: String,
    /// The units on hand at the sales price.
    pub stock_value_cents: i64,
    /// Its sales.
    #[serde(flatten)]
    pub sales: Sales,
    /// How often something came back.
    pub returns: i64,
    /// Units that came back.
    pub units_returned: i64,
    /// What was paid back.
    pub refund_cents: i64,
    /// When the latest sale occurred.
    pub last_sale_at: Option<DateTime<Utc>>,
}

impl View for InventoryStats {
    const TABLE: &'static str = "inventory_stats";
    const KEY: &'static [&'static str] = &["sku"];
    const ROWS: Rows = Rows::OfOneStream;
}

impl Fold for InventoryStats {
    const NAME: &'static str = "inventory_stats";
    type Event = InventoryEvent;
    type Key = String;
    type Row = ItemStats;

    fn key(event: &Recorded<InventoryEvent>) -> Option<String> {
        Some(event.envelope.stream_id.to_string())
    }

    fn fold(
        row: Option<ItemStats>,
        Recorded { envelope, event }: &Recorded<InventoryEvent>,
    ) -> Folded<ItemStats> {
        let Some(level) = StockLevel::after(row.as_ref().map(ItemStats::level), event) else {
            return Folded::Impossible("the event does not fit the item's units");
        };
        let mut row = match (row, event) {
            (None, InventoryEvent::ItemAdded(added)) => {
                ItemStats::new(envelope.stream_id.to_string(), added)
            }
            (Some(row), _) => row,
            (None, _) => return Folded::Impossible("the item was never added"),
        };
        match event {
            InventoryEvent::StockReceived(received) => {
                row.unit_price_cents = received.unit_price_cents.unwrap_or(row.unit_price_cents);
            }
            InventoryEvent::PriceChanged(changed) => {
                row.unit_price_cents = changed.unit_price_cents;
            }
            InventoryEvent::ItemRenamed(renamed) => row.name.clone_from(&renamed.name),
            InventoryEvent::ItemSold(sold) => {
                row.sales = row.sales.with(sold);
                row.last_sale_at = row.last_sale_at.max(Some(envelope.occurred_at));
            }
            InventoryEvent::ItemReturned(returned) => row.take_back(returned),
            // Their effect is in the level.
            InventoryEvent::ItemAdded(_)
            | InventoryEvent::StockAdjusted(_)
            | InventoryEvent::StockReserved(_)
            | InventoryEvent::ReservationReleased(_)
            | InventoryEvent::ReservationShipped(_)
            | InventoryEvent::ReorderPointChanged(_)
            | InventoryEvent::ItemDiscontinued(_) => {}
        }
        Folded::Put(row.at(level))
    }
}

impl ItemStats {
    fn new(sku: String, added: &ItemAdded) -> Self {
        Self {
            sku,
            name: added.name.clone(),
            unit_price_cents: added.unit_price_cents,
            currency: added.currency.clone(),
            ..Self::default()
        }
    }

    const fn level(&self) -> StockLevel {
        StockLevel {
            on_hand: self.on_hand,
            reserved: self.reserved,
            reorder_point: self.reorder_point,
            discontinued: self.discontinued,
        }
    }

    /// Amounts saturate: a statistic that is full stays readable.
    fn take_back(&mut self, returned: &ItemReturned) {
        self.returns = self.returns.saturating_add(1);
        self.units_returned = self.units_returned.saturating_add(returned.quantity);
        self.refund_cents = self.refund_cents.saturating_add(returned.refund_cents);
    }

    fn at(self, level: StockLevel) -> Self {
        Self {
            on_hand: level.on_hand,
            reserved: level.reserved,
            reorder_point: level.reorder_point,
            discontinued: level.discontinued,
            low: level.is_low(),
            stock_value_cents: level.on_hand.saturating_mul(self.unit_price_cents),
            ..self
        }
    }
}

/// Which figures.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatsQuery {
    /// Also this item's own figures, as `per_sku`.
    #[param(pattern = "^[^\\u0000]*$")]
    pub sku: Option<String>,
    /// How many best sellers.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 100, default = 10)]
    pub limit: Limit,
}

/// How many best sellers, 1 to 100: what a person reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Limit(u32);

impl Default for Limit {
    fn default() -> Self {
        Self(10)
    }
}

impl TryFrom<u32> for Limit {
    type Error = &'static str;
    fn try_from(limit: u32) -> Result<Self, &'static str> {
        if (1..=100).contains(&limit) { Ok(Self(limit)) } else { Err("must be 1 to 100") }
    }
}

/// The figures of the whole inventory. Amounts are sums of minor units as they are: an inventory
/// keeps one currency, or `currency` is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Totals {
    /// Items in the catalogue, discontinued ones included.
    pub items: i64,
    /// Items that were sold at least once.
    pub items_sold: i64,
    /// Units in the warehouse, reserved ones included.
    pub units_on_hand: i64,
    /// The units on hand at their sales prices.
    pub stock_value_cents: i64,
    /// ISO 4217; null when the items have several currencies, or when there is none.
    pub currency: Option<String>,
    /// Items of which somebody should order more.
    pub low_stock_count: i64,
    /// How many sales.
    pub total_sales: i64,
    /// Units sold in them.
    pub units_sold: i64,
    /// What they brought in.
    pub revenue_cents: i64,
    /// How often something came back.
    pub returns: i64,
    /// Units that came back.
    pub units_returned: i64,
    /// What was paid back.
    pub refund_cents: i64,
    /// When the latest sale occurred.
    pub last_sale_at: Option<DateTime<Utc>>,
    /// The items with the most revenue, the best first.
    pub top_items: Vec<TopItem>,
    /// The item that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_sku: Option<ItemStats>,
}

/// A best seller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopItem {
    /// The item's key.
    pub sku: String,
    /// What people call it.
    pub name: String,
    /// Its sales.
    #[serde(flatten)]
    pub sales: Sales,
}

/// One statement, so that all figures are of one moment. Sums of whole numbers are of a larger type
/// in SQL; what does not fit back is cut to the largest that does.
const TOTALS: &str = "
    select jsonb_build_object(
        'items', count(*),
        'items_sold', count(*) filter (where sales > 0),
        'units_on_hand', fit(sum(on_hand)),
        'stock_value_cents', fit(sum(stock_value_cents)),
        'currency', case when min(currency) = max(currency) then min(currency) end,
        'low_stock_count', count(*) filter (where low),
        'total_sales', fit(sum(sales)),
        'units_sold', fit(sum(units_sold)),
        'revenue_cents', fit(sum(revenue_cents)),
        'returns', fit(sum(returns)),
        'units_returned', fit(sum(units_returned)),
        'refund_cents', fit(sum(refund_cents)),
        'last_sale_at', max(last_sale_at),
        'top_items', (
            select coalesce(jsonb_agg(to_jsonb(best) order by revenue_cents desc, sku), '[]')
            from (
                select sku, name, sales, units_sold, revenue_cents from inventory_stats where sales > 0
                order by revenue_cents desc, sku limit $1
            ) best
        ),
        'per_sku', (select to_jsonb(one) from inventory_stats one where one.sku = $2)
    )
    from inventory_stats";

/// Reads the figures, with how fresh they are; `per_sku` is `None` when the item is unknown or not asked
/// for. Those with a single item are never in the cache: such questions are as many as items.
///
/// # Errors
/// The database fails.
pub async fn totals(
    reading: &Reading,
    cache: &Cache,
    fresh: Fresh,
    StatsQuery { sku, limit: Limit(limit) }: &StatsQuery,
) -> Result<(Fresh, Totals), sqlx::Error> {
    let asked = sqlx::query_scalar(TOTALS).bind(i64::from(*limit)).bind(sku);
    let compute = async { asked.fetch_one(&reading.pool).await.map(|Json(totals)| totals) };
    if sku.is_some() {
        return Ok((fresh, compute.await?));
    }
    let question = format!("{TOTALS} limit {limit}");
    cache.get_or(reading, fresh, &Question::of::<InventoryStats>(&question), compute).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h35_a_limit_is_1_to_100() {
        assert!(Limit::try_from(0).is_err());
        assert!(Limit::try_from(1_000_000_000).is_err());
        assert_eq!(Limit::try_from(100).unwrap().0, 100);
    }
}
