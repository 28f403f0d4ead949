//! Orders over HTTP. An answer is made of two views, so a token of either topic is waited for in the
//! view that reads it.

use axum::{extract::State, response::IntoResponse};
use domain::values::{CustomerId, OrderId};
use read_kit::{Fresh, fresh_together, unanswered};
use service_kit::{
    Problem,
    extract::{ConsistencyTokens, Json, Path, Query},
};

use super::{Views, etag};
use crate::{
    customer_list,
    orders::{self, Order, OrderPage, OrderQuery, PartQuery},
};

/// Lists orders, filtered, the newest or the oldest first, page by page.
#[utoipa::path(
    get,
    path = "/orders",
    params(OrderQuery, ConsistencyTokens),
    responses(
        (status = 200, description = "a page of orders", body = OrderPage),
        (status = 400, description = "malformed_cursor, unknown_parameter", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_orders(
    State(views): State<Views>,
    Query(query): Query<OrderQuery>,
    tokens: ConsistencyTokens,
) -> Result<impl IntoResponse, Problem> {
    let fresh = views.fresh_orders(&tokens).await?;
    Ok((fresh, Json(orders::page(&views.order_list.pool, &query).await?)))
}

/// Shows one order.
#[utoipa::path(
    get,
    path = "/orders/{order_id}",
    params(
        ("order_id" = String, Path, format = "uuid", description = "the order's key"),
        ConsistencyTokens,
    ),
    responses(
        (status = 200, description = "the order", body = Order, headers(
            ("ETag" = String, description = "the order's version, for If-Match"),
        )),
        (status = 404, description = "unknown_order", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn show_order(
    State(views): State<Views>,
    Path(order_id): Path<OrderId>,
    tokens: ConsistencyTokens,
) -> Result<impl IntoResponse, Problem> {
    let fresh = views.fresh_orders(&tokens).await?;
    let order = orders::find(&views.order_list.pool, &order_id.to_string()).await;
    let order = order.map_err(|error| unanswered(&error))?;
    let order =
        order.ok_or_else(|| Problem::not_found("unknown_order", "there is no such order"))?;
    Ok((fresh, etag(order.row.version)?, Json(order)))
}

/// Lists the orders of one customer, the newest first, page by page.
#[utoipa::path(
    get,
    path = "/customers/{customer_id}/orders",
    params(
        ("customer_id" = String, Path, format = "uuid", description = "the customer's key"),
        PartQuery,
        ConsistencyTokens,
    ),
    responses(
        (status = 200, description = "a page of orders", body = OrderPage),
        (status = 400, description = "malformed_cursor, unknown_parameter", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "unknown_customer", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_orders_of_customer(
    State(views): State<Views>,
    Path(customer_id): Path<CustomerId>,
    Query(part): Query<PartQuery>,
    tokens: ConsistencyTokens,
) -> Result<impl IntoResponse, Problem> {
    let fresh = views.fresh_orders(&tokens).await?;
    let pool = &views.order_list.pool;
    let page = orders::page(pool, &OrderQuery::of_customer(customer_id, part)).await?;
    if page.items.is_empty() {
        let customer = customer_list::find(pool, &customer_id.to_string()).await;
        customer.map_err(|error| unanswered(&error))?.ok_or_else(super::unknown_customer)?;
    }
    Ok((fresh, Json(page)))
}

impl Views {
    async fn fresh_orders(&self, tokens: &ConsistencyTokens) -> Result<Fresh, Problem> {
        fresh_together(&[&self.order_list, &self.customer_list], tokens).await
    }
}
