//! The queries over HTTP, and their description: items here, orders, customers and shipments in files
//! of their own.

mod customers;
mod orders;
mod shipments;

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use factline_core::StreamId;
use http::{HeaderName, HeaderValue, header};
use read_kit::{QueryAnswers, Reading, unanswered};
use service_kit::{
    Problem,
    extract::{ConsistencyTokens, Json, Path, Query},
    http::{Routes, ServerAnswers, openapi_routes},
};
use utoipa::OpenApi;

use crate::inventory_list::{self, InventoryRow, Page, PageQuery};

/// The views that can be asked, each with its own progress.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // the views' own names
pub struct Views {
    pub inventory_list: Reading,
    pub order_list: Reading,
    pub customer_list: Reading,
    pub shipment_requests: Reading,
}

/// Every public route, over views that this process or another one keeps.
#[must_use]
pub fn routes(views: Views) -> Routes {
    let queries = Router::new()
        .route("/inventory", get(list_inventory))
        .route("/inventory/{sku}", get(show_item))
        .route("/orders", get(orders::list_orders))
        .route("/orders/{order_id}", get(orders::show_order))
        .route("/customers", get(customers::list_customers))
        .route("/customers/{customer_id}", get(customers::show_customer))
        .route("/customers/{customer_id}/orders", get(orders::list_orders_of_customer))
        .route("/shipments", get(shipments::list_shipments))
        .with_state(views);
    Routes::json(queries).with_other(openapi_routes(&Api::openapi()))
}

/// The document behind `openapi.json`.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "projector-list",
        description = "Lists for people and programs. Every answer says how fresh it is; a query \
            with a Consistency-Token shows at least what the token's command wrote."
    ),
    paths(
        list_inventory,
        show_item,
        orders::list_orders,
        orders::show_order,
        customers::list_customers,
        customers::show_customer,
        orders::list_orders_of_customer,
        shipments::list_shipments,
        crate::live::listen,
    ),
    modifiers(&QueryAnswers, &ServerAnswers)
)]
pub struct Api;

/// Lists items, filtered, sorted, page by page.
#[utoipa::path(
    get,
    path = "/inventory",
    params(PageQuery, ConsistencyTokens),
    responses(
        (status = 200, description = "a page of items", body = Page),
        (status = 400, description = "malformed_cursor, unknown_parameter", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
    )
)]
async fn list_inventory(
    State(Views { inventory_list: reading, .. }): State<Views>,
    Query(query): Query<PageQuery>,
    tokens: ConsistencyTokens,
) -> Result<impl IntoResponse, Problem> {
    let fresh = reading.fresh(&tokens).await?;
    Ok((fresh, Json(inventory_list::page(&reading.pool, &query).await?)))
}

/// Shows one item.
#[utoipa::path(
    get,
    path = "/inventory/{sku}",
    params(
        ("sku" = String, Path, description = "the item's key", min_length = 1, max_length = 128,
            pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"),
        ConsistencyTokens,
    ),
    responses(
        (status = 200, description = "the item", body = InventoryRow, headers(
            ("ETag" = String, description = "the item's version, for If-Match"),
        )),
        (status = 404, description = "unknown_item", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
    )
)]
async fn show_item(
    State(Views { inventory_list: reading, .. }): State<Views>,
    Path(sku): Path<StreamId>,
    tokens: ConsistencyTokens,
) -> Result<impl IntoResponse, Problem> {
    let fresh = reading.fresh(&tokens).await?;
    let row = inventory_list::find(&reading.pool, sku.as_str()).await;
    let row = row.map_err(|error| unanswered(&error))?;
    let row = row.ok_or_else(|| Problem::not_found("unknown_item", "there is no such item"))?;
    Ok((fresh, etag(row.version)?, Json(row)))
}

fn unknown_customer() -> Problem {
    Problem::not_found("unknown_customer", "there is no such customer")
}

/// The header of an answer that shows one thing.
fn etag(version: i64) -> Result<[(HeaderName, HeaderValue); 1], Problem> {
    let value = HeaderValue::from_str(&format!("\"{version}\""));
    let value = value.map_err(|_| Problem::internal())?; // digits and quotes: never
    Ok([(header::ETAG, value)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_description_is_the_codes_own() {
        let built = Api::openapi().to_pretty_json().unwrap();
        let checked_in = include_str!("../openapi.json");
        assert!(
            built.trim() == checked_in.trim(),
            "openapi.json is out of date: run `projector-list openapi > \
             services/projector-list/openapi.json`"
        );
    }
}
