//! `sales_by_country`: one row per country that something was sold to. Sales flow in; countries by
//! revenue flow out.

use domain::inventory::{InventoryEvent, ItemSold};
use factline_core::{Fold, Folded, Recorded};
use factline_projection::{Rows, View};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, types::Json};
use utoipa::ToSchema;

use crate::{sales::Sales, sales_by_day::sale};

/// The view.
pub struct SalesByCountry;

/// What stands for a sale that names no country.
const UNKNOWN: &str = "unknown";

/// The sales to one country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountryOfSales {
    /// The country as the sellers named it, or `unknown`.
    #[schema(example = "United Kingdom")]
    pub country: String,
    /// The sales to it.
    #[serde(flatten)]
    pub sales: Sales,
}

impl View for SalesByCountry {
    const TABLE: &'static str = "sales_by_country";
    const KEY: &'static [&'static str] = &["country"];
    const ROWS: Rows = Rows::Shared; // items of every partition are sold to one country
}

impl Fold for SalesByCountry {
    const NAME: &'static str = "sales_by_country";
    type Event = InventoryEvent;
    type Key = String;
    type Row = CountryOfSales;

    fn key(event: &Recorded<InventoryEvent>) -> Option<String> {
        sale(&event.event).map(country)
    }

    fn fold(
        row: Option<CountryOfSales>,
        event: &Recorded<InventoryEvent>,
    ) -> Folded<CountryOfSales> {
        let Some(sold) = sale(&event.event) else { return Folded::Unchanged };
        let sales = row.map(|row| row.sales).unwrap_or_default().with(sold);
        Folded::Put(CountryOfSales { country: country(sold), sales })
    }
}

fn country(sold: &ItemSold) -> String {
    sold.country.clone().unwrap_or_else(|| UNKNOWN.to_owned())
}

/// The most countries in one answer: twice as many as there are, for those that are misspelt.
const MOST_COUNTRIES: i64 = 500;

/// The countries, those with the most revenue first.
///
/// # Errors
/// The database fails.
pub async fn countries(pool: &PgPool) -> Result<Vec<CountryOfSales>, sqlx::Error> {
    let rows: Vec<Json<CountryOfSales>> = sqlx::query_scalar(
        "select to_jsonb(t) from sales_by_country t order by revenue_cents desc, country limit $1",
    )
    .bind(MOST_COUNTRIES)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|Json(row)| row).collect())
}
