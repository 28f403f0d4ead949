//! `customer_list`: one row per customer. A customer's events flow in; pages of rows flow out, and
//! the names that [`orders`](crate::orders) show.

use chrono::{DateTime, Utc};
use domain::customer::{CustomerEvent, CustomerRegistered};
use factline_core::{Envelope, Fold, Folded, Recorded};
use factline_projection::{Rows, View};
use read_kit::{Limit, PageError, cursor};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Postgres, QueryBuilder, types::Json};
use utoipa::{IntoParams, ToSchema};

/// The view.
pub struct CustomerList;

/// One customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CustomerRow {
    /// The customer's key.
    #[schema(example = "018f3c1e-7b1a-7000-8000-0000000000c1")]
    pub id: String,
    /// What the customer is called.
    #[schema(example = "Ada Lovelace")]
    pub name: String,
    /// Where mail reaches the customer.
    #[schema(example = "ada@example.com")]
    pub email: String,
    /// When the customer was registered, as the command told it.
    pub registered_at: DateTime<Utc>,
    /// When the log recorded the last event of the customer.
    pub last_updated_at: DateTime<Utc>,
    /// Of the customer's last event; also the `ETag` of a single customer.
    pub version: i64,
}

impl View for CustomerList {
    const TABLE: &'static str = "customer_list";
    const KEY: &'static [&'static str] = &["id"];
    const ROWS: Rows = Rows::OfOneStream;
}

impl Fold for CustomerList {
    const NAME: &'static str = "customer_list";
    type Event = CustomerEvent;
    type Key = String;
    type Row = CustomerRow;

    fn key(event: &Recorded<CustomerEvent>) -> Option<String> {
        Some(event.envelope.stream_id.to_string())
    }

    fn fold(
        row: Option<CustomerRow>,
        Recorded { envelope, event }: &Recorded<CustomerEvent>,
    ) -> Folded<CustomerRow> {
        let mut row = match (row, event) {
            (None, CustomerEvent::CustomerRegistered(registered)) => {
                CustomerRow::new(envelope, registered)
            }
            (Some(_), CustomerEvent::CustomerRegistered(_)) => {
                return Folded::Impossible("the customer was registered before");
            }
            (Some(row), _) => row,
            (None, _) => return Folded::Impossible("the customer was never registered"),
        };
        match event {
            CustomerEvent::CustomerRegistered(_) => {} // made this row
            CustomerEvent::CustomerRenamed(renamed) => row.name.clone_from(&renamed.name),
            CustomerEvent::CustomerEmailChanged(changed) => row.email.clone_from(&changed.email),
        }
        row.last_updated_at = envelope.recorded_at;
        row.version = envelope.version.0;
        Folded::Put(row)
    }
}

impl CustomerRow {
    fn new(envelope: &Envelope, registered: &CustomerRegistered) -> Self {
        Self {
            id: envelope.stream_id.to_string(),
            name: registered.name.clone(),
            email: registered.email.clone(),
            registered_at: envelope.occurred_at,
            last_updated_at: envelope.recorded_at,
            version: envelope.version.0,
        }
    }
}

/// Which customers, in which order, how many.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CustomerQuery {
    /// Only customers whose name begins with this text, written as it is.
    #[param(pattern = "^[^\\u0000]*$")]
    pub name_prefix: Option<String>,
    /// Only customers whom mail reaches at exactly this address.
    #[param(pattern = "^[^\\u0000]*$")]
    pub email: Option<String>,
    /// Rising by this; equal ones by id.
    #[serde(default)]
    #[param(inline)]
    pub sort: CustomerSort,
    /// Customers on a page.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 500, default = 50)]
    pub limit: Limit,
    /// `next_cursor` of the page before, which had the same parameters.
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

/// What customers are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the columns' own names
pub enum CustomerSort {
    #[default]
    Name,
    Id,
}

/// A page of customers.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerPage {
    /// The customers, as they were asked for.
    pub items: Vec<CustomerRow>,
    /// Give it as `cursor` to get the next page; null when this is the last.
    pub next_cursor: Option<String>,
}

/// Where a page ended: the name and the id.
type PageEnd = (String, String);

/// Reads a page.
///
/// # Errors
/// The cursor is not one that this query gave, or the database fails.
pub async fn page(pool: &PgPool, query: &CustomerQuery) -> Result<CustomerPage, PageError> {
    let binding = query.binding();
    let end: Option<PageEnd> =
        query.cursor.as_deref().map(|text| cursor::open(&binding, text)).transpose()?;
    let rows = query.statement(end).build_query_scalar().fetch_all(pool).await?;
    let seal = |row: &CustomerRow| cursor::seal(&binding, &(&row.name, &row.id));
    let (items, next_cursor) = query.limit.page(rows, seal);
    Ok(CustomerPage { items, next_cursor })
}

/// Reads one customer.
///
/// # Errors
/// The database fails.
pub async fn find(pool: &PgPool, id: &str) -> Result<Option<CustomerRow>, sqlx::Error> {
    let row: Option<Json<CustomerRow>> =
        sqlx::query_scalar("select to_jsonb(t) from customer_list t where id = $1")
            .bind(id)
            .fetch_optional(pool)
            .await?;
    Ok(row.map(|Json(row)| row))
}

impl CustomerQuery {
    /// What a cursor of this query is good for: everything but the page's size and place.
    fn binding(&self) -> String {
        let Self { name_prefix, email, sort, limit: _, cursor: _ } = self;
        format!("customers {name_prefix:?} {email:?} {sort:?}")
    }

    fn statement(&self, end: Option<PageEnd>) -> QueryBuilder<Postgres> {
        let mut sql = QueryBuilder::new("select to_jsonb(t) from customer_list t where true");
        if let Some(prefix) = &self.name_prefix {
            // Two bounds, which the index serves with any plan: behind the last character of
            // Unicode, which is none of any name, no name begins with the prefix.
            sql.push(" and name >= ").push_bind(prefix.clone());
            sql.push(" and name < ").push_bind(format!("{prefix}\u{10ffff}"));
        }
        if let Some(email) = &self.email {
            sql.push(" and email = ").push_bind(email.clone());
        }
        match (end, self.sort) {
            (None, _) => {}
            (Some((name, id)), CustomerSort::Name) => {
                sql.push(" and (name, id) > (").push_bind(name).push(", ").push_bind(id).push(")");
            }
            (Some((_, id)), CustomerSort::Id) => drop(sql.push(" and id > ").push_bind(id)),
        }
        sql.push(match self.sort {
            CustomerSort::Name => " order by name, id limit ",
            CustomerSort::Id => " order by id limit ",
        });
        sql.push_bind(self.limit.and_one());
        sql
    }
}
