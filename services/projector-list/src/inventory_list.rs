//! `inventory_list`: one row per item, as a catalogue shows it. An item's events flow in; pages of
//! rows, filtered and sorted, flow out.

use chrono::{DateTime, Utc};
use domain::inventory::{InventoryEvent, ItemAdded, StockLevel};
use factline_core::{Envelope, Fold, Folded, Recorded};
use factline_projection::{Rows, View};
use read_kit::{Limit, PageError, cursor};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Postgres, QueryBuilder, types::Json};
use utoipa::{IntoParams, ToSchema};

/// The view.
pub struct InventoryList;

/// One item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct InventoryRow {
    /// The item's key.
    #[schema(example = "85123A")]
    pub sku: String,
    /// What people call it.
    #[schema(example = "White Hanging Heart T-Light Holder")]
    pub name: String,
    /// Sales price of one unit in minor units of the currency.
    #[schema(example = 255)]
    pub unit_price_cents: i64,
    /// ISO 4217.
    #[schema(example = "GBP")]
    pub currency: String,
    /// Units in the warehouse, reserved ones included.
    pub on_hand: i64,
    /// Units promised to reservations.
    pub reserved: i64,
    /// Units that can be sold: on_hand - reserved.
    pub available: i64,
    /// The item is low when the available units are at or below this.
    pub reorder_point: i64,
    /// What a shop would say of it.
    pub status: Status,
    /// When the log recorded the last event of the item.
    pub last_updated_at: DateTime<Utc>,
    /// Of the item's last event; also the `ETag` of a single item.
    pub version: i64,
}

/// What a shop would say of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// More than the reorder point is available.
    #[default]
    InStock,
    /// Some are available, at most the reorder point.
    Low,
    /// None is available.
    Out,
    /// Neither bought nor sold any more.
    Discontinued,
}

impl Status {
    const fn of(level: StockLevel) -> Self {
        if level.discontinued {
            Self::Discontinued
        } else if level.available() == 0 {
            Self::Out
        } else if level.is_low() {
            Self::Low
        } else {
            Self::InStock
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::InStock => "in_stock",
            Self::Low => "low",
            Self::Out => "out",
            Self::Discontinued => "discontinued",
        }
    }
}

impl View for InventoryList {
    const TABLE: &'static str = "inventory_list";
    const KEY: &'static [&'static str] = &["sku"];
    const ROWS: Rows = Rows::OfOneStream;
}

impl Fold for InventoryList {
    const NAME: &'static str = "inventory_list";
    type Event = InventoryEvent;
    type Key = String;
    type Row = InventoryRow;

    fn key(event: &Recorded<InventoryEvent>) -> Option<String> {
        Some(event.envelope.stream_id.to_string())
    }

    fn fold(
        row: Option<InventoryRow>,
        Recorded { envelope, event }: &Recorded<InventoryEvent>,
    ) -> Folded<InventoryRow> {
        let Some(level) = StockLevel::after(row.as_ref().map(InventoryRow::level), event) else {
            return Folded::Impossible("the event does not fit the item's units");
        };
        let mut row = match (row, event) {
            (None, InventoryEvent::ItemAdded(added)) => InventoryRow::new(added),
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
            // Their effect is in the level.
            InventoryEvent::ItemAdded(_)
            | InventoryEvent::ItemSold(_)
            | InventoryEvent::ItemReturned(_)
            | InventoryEvent::StockAdjusted(_)
            | InventoryEvent::StockReserved(_)
            | InventoryEvent::ReservationReleased(_)
            | InventoryEvent::ReservationShipped(_)
            | InventoryEvent::ReorderPointChanged(_)
            | InventoryEvent::ItemDiscontinued(_) => {}
        }
        Folded::Put(row.at(level, envelope))
    }
}

impl InventoryRow {
    fn new(added: &ItemAdded) -> Self {
        Self {
            name: added.name.clone(),
            unit_price_cents: added.unit_price_cents,
            currency: added.currency.clone(),
            ..Self::default()
        }
    }

    fn level(&self) -> StockLevel {
        StockLevel {
            on_hand: self.on_hand,
            reserved: self.reserved,
            reorder_point: self.reorder_point,
            discontinued: self.status == Status::Discontinued,
        }
    }

    fn at(self, level: StockLevel, envelope: &Envelope) -> Self {
        Self {
            sku: envelope.stream_id.to_string(),
            on_hand: level.on_hand,
            reserved: level.reserved,
            available: level.available(),
            reorder_point: level.reorder_point,
            status: Status::of(level),
            last_updated_at: envelope.recorded_at,
            version: envelope.version.0,
            ..self
        }
    }
}

/// Which items, in which order, how many.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Only items in this state.
    pub status: Option<Status>,
    /// Only items whose name contains this text, in either case.
    #[param(pattern = "^[^\\u0000]*$")]
    pub q: Option<String>,
    /// Only items with at least so many available units.
    pub min_available: Option<i64>,
    /// Only items with at most so many available units.
    pub max_available: Option<i64>,
    /// Sorted by this; equal ones by sku.
    #[serde(default)]
    #[param(inline)]
    pub sort: Sort,
    /// Rising or falling.
    #[serde(default)]
    #[param(inline)]
    pub order: Order,
    /// Items on a page.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 500, default = 50)]
    pub limit: Limit,
    /// `next_cursor` of the page before, which had the same parameters.
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

/// What a page is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the columns' own names
pub enum Sort {
    #[default]
    Sku,
    Name,
    Available,
    UnitPriceCents,
    LastUpdatedAt,
}

/// Rising or falling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Order {
    #[default]
    Asc,
    Desc,
}

/// A page of items.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page {
    /// The items, in the order asked for.
    pub items: Vec<InventoryRow>,
    /// Give it as `cursor` to get the next page; null when this is the last.
    pub next_cursor: Option<String>,
}

/// Where a page ended: the value that it is sorted by, and the sku.
#[derive(Debug, Serialize, Deserialize)]
struct PageEnd(SortValue, String);

#[derive(Debug, Serialize, Deserialize)]
enum SortValue {
    #[serde(rename = "t")]
    Text(String),
    #[serde(rename = "n")]
    Number(i64),
    #[serde(rename = "d")]
    Time(DateTime<Utc>),
}

impl Sort {
    const fn column(self) -> &'static str {
        match self {
            Self::Sku => "sku",
            Self::Name => "name",
            Self::Available => "available",
            Self::UnitPriceCents => "unit_price_cents",
            Self::LastUpdatedAt => "last_updated_at",
        }
    }

    fn value(self, row: &InventoryRow) -> SortValue {
        match self {
            Self::Sku => SortValue::Text(row.sku.clone()),
            Self::Name => SortValue::Text(row.name.clone()),
            Self::Available => SortValue::Number(row.available),
            Self::UnitPriceCents => SortValue::Number(row.unit_price_cents),
            Self::LastUpdatedAt => SortValue::Time(row.last_updated_at),
        }
    }

    fn fits(self, value: &SortValue) -> bool {
        match self {
            Self::Sku | Self::Name => matches!(value, SortValue::Text(_)),
            Self::Available | Self::UnitPriceCents => matches!(value, SortValue::Number(_)),
            Self::LastUpdatedAt => matches!(value, SortValue::Time(_)),
        }
    }
}

/// Reads a page.
///
/// # Errors
/// The cursor is not one that this query gave, or the database fails.
pub async fn page(pool: &PgPool, query: &PageQuery) -> Result<Page, PageError> {
    let end = query.page_end()?;
    let mut statement = query.statement(end, query.limit.and_one());
    let rows: Vec<Json<InventoryRow>> = statement.build_query_scalar().fetch_all(pool).await?;
    let end = |row: &InventoryRow| PageEnd(query.sort.value(row), row.sku.clone());
    let seal = |row: &InventoryRow| cursor::seal(&query.binding(), &end(row));
    let (items, next_cursor) = query.limit.page(rows, seal);
    Ok(Page { items, next_cursor })
}

/// Reads one item.
///
/// # Errors
/// The database fails.
pub async fn find(pool: &PgPool, sku: &str) -> Result<Option<InventoryRow>, sqlx::Error> {
    let row: Option<Json<InventoryRow>> =
        sqlx::query_scalar("select to_jsonb(t) from inventory_list t where sku = $1")
            .bind(sku)
            .fetch_optional(pool)
            .await?;
    Ok(row.map(|Json(row)| row))
}

impl PageQuery {
    /// What a cursor of this query is good for: everything but the page's size and place.
    fn binding(&self) -> String {
        let Self { status, q, min_available, max_available, sort, order, limit: _, cursor: _ } =
            self;
        format!("{status:?} {q:?} {min_available:?} {max_available:?} {sort:?} {order:?}")
    }

    fn page_end(&self) -> Result<Option<PageEnd>, cursor::MalformedCursor> {
        let Some(text) = &self.cursor else { return Ok(None) };
        let end: PageEnd = cursor::open(&self.binding(), text)?;
        if self.sort.fits(&end.0) { Ok(Some(end)) } else { Err(cursor::MalformedCursor) }
    }

    fn statement(&self, end: Option<PageEnd>, limit: i64) -> QueryBuilder<Postgres> {
        let column = self.sort.column();
        let (direction, beyond) = match self.order {
            Order::Asc => ("asc", ">"),
            Order::Desc => ("desc", "<"),
        };
        let mut sql = QueryBuilder::new("select to_jsonb(t) from inventory_list t where true");
        if let Some(status) = self.status {
            sql.push(" and status = ").push_bind(status.as_str());
        }
        if let Some(text) = &self.q {
            // PostgreSQL's own Unicode rules: the same on every server, whatever its locale.
            sql.push(" and position(lower(").push_bind(text.clone());
            sql.push(r#" collate "pg_c_utf8") in lower(name collate "pg_c_utf8")) > 0"#);
        }
        if let Some(least) = self.min_available {
            sql.push(" and available >= ").push_bind(least);
        }
        if let Some(most) = self.max_available {
            sql.push(" and available <= ").push_bind(most);
        }
        if let Some(PageEnd(value, sku)) = end {
            sql.push(format!(" and ({column}, sku) {beyond} ("));
            match value {
                SortValue::Text(text) => sql.push_bind(text),
                SortValue::Number(number) => sql.push_bind(number),
                SortValue::Time(time) => sql.push_bind(time),
            };
            sql.push(", ").push_bind(sku).push(")");
        }
        sql.push(format!(" order by {column} {direction}, sku {direction} limit "))
            .push_bind(limit);
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_items_status_is_what_a_shop_would_say() {
        let level = |on_hand, reserved, discontinued| StockLevel {
            on_hand,
            reserved,
            reorder_point: 5,
            discontinued,
        };
        assert_eq!(Status::of(level(9, 3, false)), Status::InStock);
        assert_eq!(Status::of(level(9, 4, false)), Status::Low);
        assert_eq!(Status::of(level(9, 9, false)), Status::Out);
        assert_eq!(Status::of(level(9, 0, true)), Status::Discontinued);
    }

    #[test]
    fn h34_a_cursor_is_good_for_the_query_that_gave_it_alone() {
        let query = PageQuery { sort: Sort::Available, ..PageQuery::default() };
        let end = PageEnd(SortValue::Number(7), "85123A".to_owned());
        let cursor = Some(cursor::seal(&query.binding(), &end));
        let same = PageQuery { cursor: cursor.clone(), ..query.clone() };
        assert_eq!(same.page_end().unwrap().unwrap().1, "85123A");
        let larger = PageQuery { limit: Limit::try_from(500).unwrap(), ..same.clone() };
        assert!(larger.page_end().is_ok(), "the page's size may change");
        for other in [
            PageQuery { sort: Sort::Name, ..same.clone() },
            PageQuery { order: Order::Desc, ..same.clone() },
            PageQuery { status: Some(Status::Low), ..same.clone() },
            PageQuery { q: Some("heart".to_owned()), ..same.clone() },
            PageQuery { min_available: Some(1), ..same.clone() },
        ] {
            assert!(other.page_end().is_err(), "{other:?}");
        }
    }

    #[test]
    fn h34_a_cursor_of_another_type_than_the_sort_is_refused() {
        let query = PageQuery { sort: Sort::Available, ..PageQuery::default() };
        let end = PageEnd(SortValue::Text("x".to_owned()), "85123A".to_owned());
        let cursor = Some(cursor::seal(&query.binding(), &end));
        assert!(PageQuery { cursor, ..query }.page_end().is_err());
    }
}
