//! The OpenAPI document and a page that shows it, served from the binary: no other host is asked.

use axum::{Router, response::IntoResponse, routing::get};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use utoipa::openapi::OpenApi;

const PAGE: &str = include_str!("docs.html");
const SCRIPT: &str = include_str!("docs.js");
const STYLE: &str = include_str!("docs.css");

/// Nothing but what this server itself sends may load or run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `/openapi.json`, and `/docs` for people. Add it with
/// [`Routes::with_other`](super::Routes::with_other).
pub fn openapi_routes(openapi: &OpenApi) -> Router {
    let document = openapi.to_pretty_json().unwrap_or_else(|_| "{}".to_owned());
    let document = bytes::Bytes::from(document);
    Router::new()
        .route("/openapi.json", get(move || async move { sent("application/json", document) }))
        .route("/docs", get(|| async { sent("text/html; charset=utf-8", PAGE) }))
        .route("/docs/script.js", get(|| async { sent("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/docs/style.css", get(|| async { sent("text/css; charset=utf-8", STYLE) }))
}

fn sent(content_type: &'static str, body: impl IntoResponse) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-cache"), // it changes with the binary, at the same address
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, body)
}
