//! The figures of orders over HTTP.

use axum::{extract::State, response::IntoResponse};
use chrono::NaiveDate;
use read_kit::unanswered;
use serde::{Deserialize, Serialize};
use service_kit::{
    Problem,
    extract::{ConsistencyTokens, Json, Query},
};
use utoipa::{IntoParams, ToSchema};

use super::Desk;
use crate::{
    order_completed::{self, DayOfPayments},
    order_funnel::{self, Funnel},
};

/// Nothing can be chosen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

/// Shows how many orders stand where, and what they come to.
#[utoipa::path(
    get,
    path = "/stats/orders",
    params(ConsistencyTokens),
    responses(
        (status = 200, description = "the stages", body = Funnel),
        (status = 400, description = "unknown_parameter", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn show_funnel(
    State(Desk { views, cache }): State<Desk>,
    Query(NoQuery {}): Query<NoQuery>,
    tokens: ConsistencyTokens,
) -> Result<impl IntoResponse, Problem> {
    let reading = views.order_funnel;
    let fresh = reading.fresh(&tokens).await?;
    let funnel = order_funnel::funnel(&reading, &cache, fresh).await;
    let (fresh, funnel) = funnel.map_err(|error| unanswered(&error))?;
    Ok((fresh, Json(funnel)))
}

/// Which days.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CompletedQuery {
    /// The first day.
    pub from: Option<NaiveDate>,
    /// The last day.
    pub to: Option<NaiveDate>,
}

/// Orders that were paid.
#[derive(Debug, Serialize, ToSchema)]
pub struct Completed {
    /// By day, method and currency, the first day first.
    pub items: Vec<DayOfPayments>,
}

/// Lists how many orders were paid on which day, and how.
#[utoipa::path(
    get,
    path = "/stats/orders/completed",
    params(CompletedQuery, ConsistencyTokens),
    responses(
        (status = 200, description = "the sums", body = Completed),
        (status = 400, description = "unknown_parameter", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_completed(
    State(Desk { views, .. }): State<Desk>,
    Query(CompletedQuery { from, to }): Query<CompletedQuery>,
    tokens: ConsistencyTokens,
) -> Result<impl IntoResponse, Problem> {
    let reading = views.order_completed;
    let fresh = reading.fresh(&tokens).await?;
    let items = order_completed::days(&reading.pool, from, to).await;
    let items = items.map_err(|error| unanswered(&error))?;
    Ok((fresh, Json(Completed { items })))
}
