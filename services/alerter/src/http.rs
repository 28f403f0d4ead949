//! The query over HTTP, and its description.

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use read_kit::Reading;
use service_kit::{
    Problem,
    extract::{ConsistencyTokens, Json, Query},
    http::{Routes, ServerAnswers, openapi_routes},
};
use utoipa::OpenApi;

use crate::alerts::{self, AlertQuery, Page};

/// Every public route, over a view that this process or another one keeps.
#[must_use]
pub fn routes(reading: Reading) -> Routes {
    let queries = Router::new().route("/alerts", get(list_alerts)).with_state(reading);
    Routes::json(queries).with_other(openapi_routes(&Api::openapi()))
}

/// The document behind `openapi.json`.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "alerter",
        description = "Alerts. Every answer says how fresh it is; a query with a \
            Consistency-Token has judged at least what the token's command wrote."
    ),
    paths(list_alerts),
    modifiers(&ServerAnswers)
)]
pub struct Api;

/// Lists alerts, the one opened last first, each with what was told of it.
#[utoipa::path(
    get,
    path = "/alerts",
    params(
        AlertQuery,
        ("Consistency-Token" = Option<String>, Header, description = "of the caller's own commands"),
    ),
    responses(
        (status = 200, description = "a page of alerts", body = Page, headers(
            ("Projection-Position" = String, description = "topic:partition:position, …"),
            ("Projection-Age-Seconds" = f64, description = "age of the newest event judged"),
        )),
        (status = 400, description = "malformed_cursor, unknown_parameter, malformed_header, \
            unknown_partition", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "not_yet_consistent, database_unavailable; with Retry-After",
            body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list_alerts(
    State(reading): State<Reading>,
    Query(query): Query<AlertQuery>,
    tokens: ConsistencyTokens,
) -> Result<impl IntoResponse, Problem> {
    let fresh = reading.fresh(&tokens).await?;
    Ok((fresh, Json(alerts::page(&reading.pool, &query).await?)))
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
            "openapi.json is out of date: run `alerter openapi > services/alerter/openapi.json`"
        );
    }
}
