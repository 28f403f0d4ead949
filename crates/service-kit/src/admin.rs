//! The operators' routes: `/livez`, `/readyz`, `/startupz`, `/metrics`, and what a service adds.

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use tower::ServiceExt;

use crate::{Health, Problem, extract::Json, health::OverallStatus, http::Routes};

/// Routes that a service adds after the admin server has started.
pub(crate) type Extra = Arc<OnceLock<Router>>;

pub(crate) fn routes(health: Health, metrics: PrometheusHandle, extra: Extra) -> Routes {
    let router = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .with_state(health)
        .route("/metrics", get(move || async move { text(metrics.render()) }));
    Routes::none().with_other(router).with_fallback(move |request| added(extra.clone(), request))
}

async fn readyz(State(health): State<Health>) -> Response {
    let readiness = health.readiness();
    let status = match readiness.status {
        OverallStatus::Ready | OverallStatus::Degraded => StatusCode::OK,
        OverallStatus::NotReady => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(readiness)).into_response()
}

async fn startupz(State(health): State<Health>) -> Response {
    if health.is_started() {
        "started\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response()
    }
}

fn text(body: String) -> impl IntoResponse {
    // The content type of Prometheus' text exposition format.
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], body)
}

async fn added(extra: Extra, request: Request) -> Response {
    match extra.get() {
        Some(router) => match router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        None => Problem::not_found("unknown_path", "there is nothing at this path").into_response(),
    }
}
