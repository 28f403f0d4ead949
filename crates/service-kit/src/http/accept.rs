//! The `Accept` header: answers are JSON, so a caller that accepts none gets 406 before any work.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};

use crate::Problem;

pub(super) async fn require_json(request: Request, next: Next) -> Response {
    if accepts_json(request.headers()) {
        next.run(request).await
    } else {
        Problem::not_acceptable().into_response()
    }
}

/// No `Accept` accepts everything (RFC 9110, 12.5.1).
fn accepts_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    values.peek().is_none()
        || values.any(|value| value.to_str().is_ok_and(|ranges| ranges.split(',').any(is_json)))
}

fn is_json(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let wanted = matches!(
        media_type.as_str(),
        "application/json" | "application/problem+json" | "application/*" | "*/*"
    );
    wanted && !parts.any(is_refusal)
}

/// `q=0` means "not this".
fn is_refusal(parameter: &str) -> bool {
    let quality = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
    quality.is_some_and(|value| value.parse::<f32>().is_ok_and(|quality| quality == 0.0))
}

#[cfg(test)]
mod tests {
    use super::is_json;

    #[test]
    fn json_is_recognised_in_every_range_that_covers_it() {
        for range in ["application/json", " Application/JSON;q=0.5", "application/*", "*/*;q=0.1"] {
            assert!(is_json(range), "{range}");
        }
        for range in ["text/html", "application/xml", "application/json;q=0", "*/*; q=0.000", ""] {
            assert!(!is_json(range), "{range}");
        }
    }
}
