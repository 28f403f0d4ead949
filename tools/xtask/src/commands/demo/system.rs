//! The system's side of the totals: what the read models answer over HTTP, as any client sees it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reqwest::Client;
use serde::Deserialize;
use serde_json::Value;

use super::http::{question, segment};
use super::services::Services;
use crate::failure::Failure;

/// What the read models say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ReadModels {
    /// `GET /inventory/stats`.
    pub(crate) stats: Stats,
    /// Items in `GET /inventory`, page by page.
    pub(crate) listed: Vec<Value>,
    /// `GET /stats/sales?by=day`, the oldest first.
    pub(crate) days: Vec<Sales>,
    /// `GET /stats/sales?by=country`, the most revenue first.
    pub(crate) countries: Vec<Sales>,
}

/// The inventory's figures.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Stats {
    pub(crate) items: u64,
    pub(crate) items_sold: u64,
    pub(crate) total_sales: u64,
    pub(crate) units_sold: i64,
    pub(crate) revenue_cents: i64,
    pub(crate) returns: u64,
    pub(crate) low_stock_count: u64,
    pub(crate) top_items: Vec<Sales>,
}

/// What was sold of an item, on a day or to a country.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Sales {
    #[serde(alias = "sku", alias = "day", alias = "country")]
    pub(crate) key: String,
    /// Items only.
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) sales: u64,
    pub(crate) units_sold: i64,
    pub(crate) revenue_cents: i64,
}

/// What the alerter says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Alerts {
    /// Episodes so far.
    pub(crate) opened: usize,
    /// Those that the receiver was told.
    pub(crate) delivered: usize,
    /// Those that it is to be told now.
    pub(crate) due: usize,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// Asks the read models.
///
/// # Errors
/// One does not answer, or otherwise than it should.
pub(crate) async fn read(client: &Client, services: &Services) -> Result<ReadModels, Failure> {
    let list = &services.place("projector-list")?.url;
    let stats = &services.place("projector-stats")?.url;
    let by = async |what: &str| -> Result<Vec<Sales>, Failure> {
        let answer = question(client, &format!("{stats}/stats/sales?by={what}")).await?;
        parse(answer.get("items").cloned().unwrap_or_default())
    };
    let models = ReadModels {
        stats: parse(question(client, &format!("{stats}/inventory/stats?limit=10")).await?)?,
        listed: all_pages(client, &format!("{list}/inventory")).await?,
        days: by("day").await?,
        countries: by("country").await?,
    };
    let (listed, counted) = (models.listed.len() as u64, models.stats.items);
    if listed != counted {
        return Err(Failure::new(format!(
            "the list has {listed} items and the statistics have {counted}"
        )));
    }
    Ok(models)
}

/// Every item of a list, page by page; `list` may have parameters of its own.
///
/// # Errors
/// It does not answer, or otherwise than it should.
pub(crate) async fn all_pages(client: &Client, list: &str) -> Result<Vec<Value>, Failure> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let and = if list.contains('?') { '&' } else { '?' };
        let url = format!("{list}{and}limit=500{cursor}"); // the largest page
        let page: Page = parse(question(client, &url).await?)?;
        items.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={}", segment(&next)),
            None => return Ok(items),
        }
    }
}

/// Asks the alerter.
///
/// # Errors
/// It does not answer, or otherwise than it should.
pub(crate) async fn alerts(client: &Client, services: &Services) -> Result<Alerts, Failure> {
    let url = format!("{}/alerts", services.place("alerter")?.url);
    let all = all_pages(client, &url).await?;
    let told = |alert: &Value| {
        let deliveries = alert["deliveries"].as_array().into_iter().flatten();
        let mut opened = deliveries.filter(|one| one["kind"] == "opened");
        opened.next().cloned().unwrap_or_default()
    };
    let is = |alert: &Value, state: &str| told(alert)["state"] == state;
    // One that the cooldown holds back is due later than anybody waits for.
    let now = Utc::now();
    let not_before = |alert: &Value| told(alert)["not_before"].as_str().map(str::to_owned);
    let is_held = |alert: &Value| {
        let time = not_before(alert).and_then(|text| DateTime::parse_from_rfc3339(&text).ok());
        time.is_some_and(|time| time > now)
    };
    Ok(Alerts {
        opened: all.len(),
        delivered: all.iter().filter(|alert| is(alert, "delivered")).count(),
        due: all.iter().filter(|alert| is(alert, "pending") && !is_held(alert)).count(),
    })
}

impl ReadModels {
    /// Revenue by country.
    pub(crate) fn revenue_by_country(&self) -> BTreeMap<String, i64> {
        self.countries.iter().map(|row| (row.key.clone(), row.revenue_cents)).collect()
    }
}

fn parse<T: for<'de> Deserialize<'de>>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| {
        Failure::new(format!("a read model answered otherwise than expected: {error}"))
    })
}
