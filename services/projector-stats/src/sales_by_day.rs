//! `sales_by_day`: one row per day on which something was sold. Sales flow in; a calendar of them
//! flows out.

use chrono::NaiveDate;
use domain::inventory::{InventoryEvent, ItemSold};
use factline_core::{Fold, Folded, Recorded};
use factline_projection::{Rows, View};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, types::Json};
use utoipa::ToSchema;

use crate::sales::Sales;

/// The view.
pub struct SalesByDay;

/// One day's sales.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DayOfSales {
    /// The day on which they occurred, UTC.
    pub day: NaiveDate,
    /// The sales of that day.
    #[serde(flatten)]
    pub sales: Sales,
}

impl View for SalesByDay {
    const TABLE: &'static str = "sales_by_day";
    const KEY: &'static [&'static str] = &["day"];
    const ROWS: Rows = Rows::Shared; // items of every partition are sold on one day
}

impl Fold for SalesByDay {
    const NAME: &'static str = "sales_by_day";
    type Event = InventoryEvent;
    type Key = NaiveDate;
    type Row = DayOfSales;

    fn key(event: &Recorded<InventoryEvent>) -> Option<NaiveDate> {
        sale(&event.event).map(|_| event.envelope.occurred_at.date_naive())
    }

    fn fold(row: Option<DayOfSales>, event: &Recorded<InventoryEvent>) -> Folded<DayOfSales> {
        let Some(sold) = sale(&event.event) else { return Folded::Unchanged };
        let day = event.envelope.occurred_at.date_naive();
        let sales = row.map(|row| row.sales).unwrap_or_default().with(sold);
        Folded::Put(DayOfSales { day, sales })
    }
}

/// The events that this view and [`SalesByCountry`](crate::sales_by_country) are made of.
pub(crate) const fn sale(event: &InventoryEvent) -> Option<&ItemSold> {
    match event {
        InventoryEvent::ItemSold(sold) => Some(sold),
        InventoryEvent::ItemAdded(_)
        | InventoryEvent::StockReceived(_)
        | InventoryEvent::ItemReturned(_)
        | InventoryEvent::StockAdjusted(_)
        | InventoryEvent::StockReserved(_)
        | InventoryEvent::ReservationReleased(_)
        | InventoryEvent::ReservationShipped(_)
        | InventoryEvent::PriceChanged(_)
        | InventoryEvent::ReorderPointChanged(_)
        | InventoryEvent::ItemRenamed(_)
        | InventoryEvent::ItemDiscontinued(_) => None,
    }
}

/// The most days in one answer: a century.
const MOST_DAYS: i64 = 36_525;

/// The days from `from` to `to`, both included, in their order.
///
/// # Errors
/// The database fails.
pub async fn days(
    pool: &PgPool,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<Vec<DayOfSales>, sqlx::Error> {
    let rows: Vec<Json<DayOfSales>> = sqlx::query_scalar(
        "select to_jsonb(t) from sales_by_day t
         where ($1::date is null or day >= $1) and ($2::date is null or day <= $2)
         order by day limit $3",
    )
    .bind(from)
    .bind(to)
    .bind(MOST_DAYS)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|Json(row)| row).collect())
}
