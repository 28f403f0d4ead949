//! Orders as they are asked for: rows of `order_list`, each joined with its customer as
//! `customer_list` knows him now (decision 0020).

use chrono::{DateTime, Utc};
use domain::{order::OrderStatus, values::CustomerId};
use read_kit::{Limit, PageError, cursor};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Postgres, QueryBuilder, types::Json};
use utoipa::{IntoParams, ToSchema};

use crate::order_list::{OrderRow, status_words};

/// An order with what is known of its customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// The order.
    #[serde(flatten)]
    pub row: OrderRow,
    /// What the customer is called now; null while the customer's own events are on their way.
    #[schema(example = "Ada Lovelace")]
    pub customer_name: Option<String>,
    /// Where mail reaches the customer now; null as the name is.
    #[schema(example = "ada@example.com")]
    pub customer_email: Option<String>,
}

/// Which orders, in which order, how many.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrderQuery {
    /// Only orders that stand there.
    #[param(schema_with = status_words)]
    pub status: Option<OrderStatus>,
    /// Only orders of this customer.
    #[param(value_type = Option<String>, format = "uuid")]
    pub customer_id: Option<CustomerId>,
    /// By the time at which they were begun; those of one time by id.
    #[serde(default)]
    #[param(inline)]
    pub sort: OrderSort,
    /// Orders on a page.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 500, default = 50)]
    pub limit: Limit,
    /// `next_cursor` of the page before, which had the same parameters.
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

/// Which part of a customer's orders.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PartQuery {
    /// Orders on a page.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 500, default = 50)]
    pub limit: Limit,
    /// `next_cursor` of the page before.
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

/// Which orders come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderSort {
    /// The one begun last.
    #[default]
    Newest,
    /// The one begun first.
    Oldest,
}

/// A page of orders.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderPage {
    /// The orders, as they were asked for.
    pub items: Vec<Order>,
    /// Give it as `cursor` to get the next page; null when this is the last.
    pub next_cursor: Option<String>,
}

/// Where a page ended.
type PageEnd = (DateTime<Utc>, String);

const ORDERS: &str = "
    select to_jsonb(o)
        || jsonb_build_object('customer_name', c.name, 'customer_email', c.email)
    from order_list o left join customer_list c on c.id = o.customer_id
    where true";

/// Reads a page.
///
/// # Errors
/// The cursor is not one that this query gave, or the database fails.
pub async fn page(pool: &PgPool, query: &OrderQuery) -> Result<OrderPage, PageError> {
    let binding = query.binding();
    let end: Option<PageEnd> =
        query.cursor.as_deref().map(|text| cursor::open(&binding, text)).transpose()?;
    let rows = query.statement(end).build_query_scalar().fetch_all(pool).await?;
    let seal = |Order { row, .. }: &Order| cursor::seal(&binding, &(row.created_at, &row.id));
    let (items, next_cursor) = query.limit.page(rows, seal);
    Ok(OrderPage { items, next_cursor })
}

/// Reads one order.
///
/// # Errors
/// The database fails.
pub async fn find(pool: &PgPool, id: &str) -> Result<Option<Order>, sqlx::Error> {
    let mut sql: QueryBuilder<Postgres> = QueryBuilder::new(ORDERS);
    sql.push(" and o.id = ").push_bind(id);
    let row: Option<Json<Order>> = sql.build_query_scalar().fetch_optional(pool).await?;
    Ok(row.map(|Json(order)| order))
}

impl OrderQuery {
    /// One customer's orders, the one begun last first.
    #[must_use]
    pub fn of_customer(customer_id: CustomerId, PartQuery { limit, cursor }: PartQuery) -> Self {
        Self { customer_id: Some(customer_id), limit, cursor, ..Self::default() }
    }

    /// What a cursor of this query is good for: everything but the page's size and place.
    fn binding(&self) -> String {
        let Self { status, customer_id, sort, limit: _, cursor: _ } = self;
        format!("orders {status:?} {customer_id:?} {sort:?}")
    }

    fn statement(&self, end: Option<PageEnd>) -> QueryBuilder<Postgres> {
        let (direction, beyond) = match self.sort {
            OrderSort::Newest => ("desc", "<"),
            OrderSort::Oldest => ("asc", ">"),
        };
        let mut sql = QueryBuilder::new(ORDERS);
        if let Some(status) = self.status {
            sql.push(" and o.status = ").push_bind(status.as_str());
        }
        if let Some(customer_id) = self.customer_id {
            sql.push(" and o.customer_id = ").push_bind(customer_id.to_string());
        }
        if let Some((created_at, id)) = end {
            sql.push(format!(" and (o.created_at, o.id) {beyond} (")).push_bind(created_at);
            sql.push(", ").push_bind(id).push(")");
        }
        sql.push(format!(" order by o.created_at {direction}, o.id {direction} limit "))
            .push_bind(self.limit.and_one());
        sql
    }
}
