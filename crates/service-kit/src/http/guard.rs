//! What stands before every route: identity and trace, limits, the bound on requests in flight, and
//! a panic turned into 500. One layer, for each layer costs every request an allocation.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{MatchedPath, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use http::{HeaderMap, Version, header};
use tracing::Instrument;

use super::{
    HttpSettings, InFlight, Routes,
    body::GuardedBody,
    cors::Cors,
    deadline::Deadline,
    rate::{Peer, RateLimit},
    wire,
};
use crate::{Problem, RequestContext};

struct Guard {
    body_read_timeout: Duration,
    max_header_bytes: usize,
    max_uri_bytes: usize,
    max_body_bytes: usize,
    in_flight: InFlight,
    rate: Option<RateLimit>,
    cors: Option<Cors>,
}

/// The routes with the guard before each of them and before the answer to unknown paths.
pub(super) fn guarded(routes: Routes, settings: &HttpSettings) -> Router {
    let guard = Guard {
        body_read_timeout: Duration::from_millis(settings.body_read_timeout_ms),
        max_header_bytes: settings.max_header_bytes,
        max_uri_bytes: settings.max_uri_bytes,
        max_body_bytes: settings.max_body_bytes,
        in_flight: InFlight::new(
            settings.max_in_flight,
            Duration::from_millis(settings.queue_wait_ms),
        ),
        rate: RateLimit::of(settings),
        cors: Cors::of(settings),
    };
    routes.into_router().layer(from_fn_with_state(Arc::new(guard), pass))
}

async fn pass(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (context, problem) = RequestContext::from_headers(request.headers());
    let span = tracing::info_span!(
        "request",
        trace_id = context.trace.trace_id(),
        correlation_id = %context.correlation_id,
    );
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let http2 = request.version() == Version::HTTP_2;
    let cors = guard.cors.clone().map(|cors| cors.permitted(request.headers()));
    let answer = async {
        match problem {
            Some(problem) => problem.into_response(),
            None => answer(guard, request, next).await.unwrap_or_else(Problem::into_response),
        }
    };
    let mut response = context.clone().scope(answer).instrument(span).await;
    context.write_headers(response.headers_mut());
    if let Some(origin) = cors {
        Cors::permit(origin, response.headers_mut());
    }
    if http2 {
        response.headers_mut().remove(header::CONNECTION); // HTTP/2 forbids it
    }
    metrics::histogram!(
        "factline_http_request_duration_seconds",
        // Other methods are the caller's invention, and so would be the label.
        "method" => if is_usual(&method) { method.to_string() } else { "other".to_owned() },
        "route" => route.map_or_else(|| "unknown".to_owned(), |path| path.as_str().to_owned()),
        "status" => response.status().as_str().to_owned(),
    )
    .record(began.elapsed());
    response
}

fn is_usual(method: &http::Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS")
}

async fn answer(guard: Arc<Guard>, request: Request, next: Next) -> Result<Response, Problem> {
    guard.check_head(&request)?;
    if let (Some(rate), Some(peer)) = (&guard.rate, request.extensions().get::<Peer>()) {
        rate.admit(*peer, tokio::time::Instant::now())?;
    }
    if let Some(permission) = guard.cors.as_ref().and_then(|cors| cors.preflight(&request)) {
        return Ok(permission);
    }
    let callers = Deadline::of(request.headers())?;
    let _slot = guard.in_flight.enter().await?;
    let latest = tokio::time::Instant::now() + guard.body_read_timeout;
    let deadline = match callers {
        Some(callers) => callers.left()?.min(latest), // it may have passed while the request waited
        None => latest,
    };
    let request = request.map(|body| {
        if body.is_end_stream() {
            return body;
        }
        Body::new(GuardedBody::new(body, guard.max_body_bytes, deadline))
    });
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => Ok(response),
        Err(_logged_by_the_panic_hook) => Err(Problem::internal()),
    }
}

impl Guard {
    fn check_head(&self, request: &Request) -> Result<(), Problem> {
        if request.extensions().get::<wire::AmbiguousLength>().is_some() {
            let close = header::HeaderValue::from_static("close");
            let detail = "a request has either Content-Length or Transfer-Encoding";
            return Err(
                Problem::bad_request("ambiguous_length", detail).header(header::CONNECTION, close)
            );
        }
        if request.uri().path_and_query().is_some_and(|uri| uri.as_str().len() > self.max_uri_bytes)
        {
            return Err(Problem::uri_too_long(self.max_uri_bytes));
        }
        if header_bytes(request.headers()) > self.max_header_bytes {
            return Err(Problem::headers_too_large(self.max_header_bytes));
        }
        let announced_bytes = request.body().size_hint().lower(); // Content-Length, if there is one
        if announced_bytes > u64::try_from(self.max_body_bytes).unwrap_or(u64::MAX) {
            return Err(Problem::body_too_large(self.max_body_bytes));
        }
        Ok(())
    }
}

/// As on an HTTP/1 wire: name, colon, space, value, line end.
fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}
