//! Customers over HTTP.

use axum::{extract::State, response::IntoResponse};
use domain::values::CustomerId;
use read_kit::unanswered;
use service_kit::{
    Problem,
    extract::{ConsistencyTokens, Json, Path, Query},
};

use super::{Views, etag, unknown_customer};
use crate::customer_list::{self, CustomerPage, CustomerQuery, CustomerRow};

/// Lists customers, filtered, sorted, page by page.
#[utoipa::path(
    get,
    path = "/customers",
    params(CustomerQuery, ConsistencyTokens),
    responses(
        (status = 200, description = "a page of customers", body = CustomerPage),
        (status = 400, description = "malformed_cursor, unknown_parameter", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_customers(
    State(Views { customer_list: reading, .. }): State<Views>,
    Query(query): Query<CustomerQuery>,
    tokens: ConsistencyTokens,
) -> Result<impl IntoResponse, Problem> {
    let fresh = reading.fresh(&tokens).await?;
    Ok((fresh, Json(customer_list::page(&reading.pool, &query).await?)))
}

/// Shows one customer.
#[utoipa::path(
    get,
    path = "/customers/{customer_id}",
    params(
        ("customer_id" = String, Path, format = "uuid", description = "the customer's key"),
        ConsistencyTokens,
    ),
    responses(
        (status = 200, description = "the customer", body = CustomerRow, headers(
            ("ETag" = String, description = "the customer's version, for If-Match"),
        )),
        (status = 404, description = "unknown_customer", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn show_customer(
    State(Views { customer_list: reading, .. }): State<Views>,
    Path(customer_id): Path<CustomerId>,
    tokens: ConsistencyTokens,
) -> Result<impl IntoResponse, Problem> {
    let fresh = reading.fresh(&tokens).await?;
    let row = customer_list::find(&reading.pool, &customer_id.to_string()).await;
    let row = row.map_err(|error| unanswered(&error))?.ok_or_else(unknown_customer)?;
    Ok((fresh, etag(row.version)?, Json(row)))
}
