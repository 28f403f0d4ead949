//! Shipment requests over HTTP.

use axum::{extract::State, response::IntoResponse};
use service_kit::{
    Problem,
    extract::{ConsistencyTokens, Json, Query},
};

use super::Views;
use crate::shipment_requests::{self, ShipmentPage, ShipmentQuery};

/// Lists what the warehouse has to send or has sent, the oldest request first, page by page.
#[utoipa::path(
    get,
    path = "/shipments",
    params(ShipmentQuery, ConsistencyTokens),
    responses(
        (status = 200, description = "a page of requests", body = ShipmentPage),
        (status = 400, description = "malformed_cursor, unknown_parameter", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_shipments(
    State(Views { shipment_requests: reading, .. }): State<Views>,
    Query(query): Query<ShipmentQuery>,
    tokens: ConsistencyTokens,
) -> Result<impl IntoResponse, Problem> {
    let fresh = reading.fresh(&tokens).await?;
    Ok((fresh, Json(shipment_requests::page(&reading.pool, &query).await?)))
}
