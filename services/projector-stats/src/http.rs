//! The queries over HTTP, and their description: items and their sales here, orders in a file of their
//! own.

mod orders;

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use chrono::NaiveDate;
use read_kit::{Cache, QueryAnswers, Reading, unanswered};
use serde::{Deserialize, Serialize};
use service_kit::{
    Problem,
    extract::{ConsistencyTokens, Json, Query},
    http::{Routes, ServerAnswers, openapi_routes},
};
use utoipa::{IntoParams, OpenApi, ToSchema};

use crate::{
    inventory_stats::{self, StatsQuery, Totals},
    sales_by_country::{self, CountryOfSales},
    sales_by_day::{self, DayOfSales},
};

/// The views that can be asked, each with its own progress.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // the views' own names
pub struct Views {
    pub inventory_stats: Reading,
    pub sales_by_day: Reading,
    pub sales_by_country: Reading,
    pub order_funnel: Reading,
    pub order_completed: Reading,
}

/// What the routes ask.
#[derive(Clone)]
struct Desk {
    views: Views,
    cache: Cache,
}

/// Every public route, over views that this process or another one keeps. The cache is for what sums up
/// every item or every order; the other queries read little more than they answer.
#[must_use]
pub fn routes(views: Views, cache: Cache) -> Routes {
    let queries = Router::new()
        .route("/inventory/stats", get(show_stats))
        .route("/inventory/analytics", get(show_stats))
        .route("/stats/sales", get(list_sales))
        .route("/stats/orders", get(orders::show_funnel))
        .route("/stats/orders/completed", get(orders::list_completed))
        .with_state(Desk { views, cache });
    Routes::json(queries).with_other(openapi_routes(&Api::openapi()))
}

/// The document behind `openapi.json`.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "projector-stats",
        description = "Figures. Every answer says how fresh it is; a query with a \
            Consistency-Token counts at least what the token's command wrote."
    ),
    paths(show_stats, list_sales, orders::show_funnel, orders::list_completed),
    modifiers(&QueryAnswers, &ServerAnswers)
)]
pub struct Api;

/// Shows the figures of the whole inventory and its best sellers. `/inventory/analytics` answers
/// the same.
#[utoipa::path(
    get,
    path = "/inventory/stats",
    params(StatsQuery, ConsistencyTokens),
    responses(
        (status = 200, description = "the figures", body = Totals),
        (status = 400, description = "unknown_parameter", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "unknown_item", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
    )
)]
async fn show_stats(
    State(Desk { views: Views { inventory_stats: reading, .. }, cache }): State<Desk>,
    Query(query): Query<StatsQuery>,
    tokens: ConsistencyTokens,
) -> Result<impl IntoResponse, Problem> {
    let fresh = reading.fresh(&tokens).await?;
    let totals = inventory_stats::totals(&reading, &cache, fresh, &query).await;
    let (fresh, totals) = totals.map_err(|error| unanswered(&error))?;
    if query.sku.is_some() && totals.per_sku.is_none() {
        return Err(Problem::not_found("unknown_item", "there is no such item"));
    }
    Ok((fresh, Json(totals)))
}

/// Which sales.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SalesQuery {
    /// Summed up by this.
    #[serde(default)]
    #[param(inline)]
    pub by: By,
    /// The first day; only by day.
    pub from: Option<NaiveDate>,
    /// The last day; only by day.
    pub to: Option<NaiveDate>,
}

/// What sales are summed up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The day on which they occurred, UTC.
    #[default]
    Day,
    /// The buyer's country.
    Country,
}

/// Sales, summed up.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "by", content = "items", rename_all = "snake_case")]
pub enum SalesAnswer {
    /// By day, the first day first.
    Day(Vec<DayOfSales>),
    /// By country, the one with the most revenue first.
    Country(Vec<CountryOfSales>),
}

/// Lists sales by day or by country.
#[utoipa::path(
    get,
    path = "/stats/sales",
    params(SalesQuery, ConsistencyTokens),
    responses(
        (status = 200, description = "the sums", body = SalesAnswer),
        (status = 400, description = "unknown_parameter", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field, contradicting_parameters", body = Problem,
            content_type = "application/problem+json"),
    )
)]
async fn list_sales(
    State(Desk { views, .. }): State<Desk>,
    Query(SalesQuery { by, from, to }): Query<SalesQuery>,
    tokens: ConsistencyTokens,
) -> Result<impl IntoResponse, Problem> {
    let failed = |error: sqlx::Error| unanswered(&error);
    match by {
        By::Day => {
            let reading = &views.sales_by_day;
            let fresh = reading.fresh(&tokens).await?;
            let days = sales_by_day::days(&reading.pool, from, to).await.map_err(failed)?;
            Ok((fresh, Json(SalesAnswer::Day(days))))
        }
        By::Country if from.is_some() || to.is_some() => {
            let name = if from.is_some() { "from" } else { "to" };
            let words = "from and to only go with by=day";
            let problem = Problem::unprocessable("contradicting_parameters", words);
            Err(problem.error(name, "only goes with by=day"))
        }
        By::Country => {
            let reading = &views.sales_by_country;
            let fresh = reading.fresh(&tokens).await?;
            let countries = sales_by_country::countries(&reading.pool).await.map_err(failed)?;
            Ok((fresh, Json(SalesAnswer::Country(countries))))
        }
    }
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
            "openapi.json is out of date: run `projector-stats openapi > \
             services/projector-stats/openapi.json`"
        );
    }
}
