//! Pages of other origins: a browser lets them read our answers only with our permission, and only
//! the origins in the settings get one. By default nobody does, and no header speaks of it.

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::HttpSettings;

/// Every method that any of our routes has.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// Every request header that means something to us and that a browser asks about.
const REQUEST_HEADERS: &str = "content-type, idempotency-key, if-match, consistency-token, \
                               x-correlation-id, x-request-deadline, x-actor, traceparent";

/// Every header of our answers that a page would not be shown otherwise.
const ANSWER_HEADERS: &str = "etag, consistency-token, idempotent-replayed, retry-after, \
                              x-request-id, x-correlation-id, projection-position, \
                              projection-age-seconds";

/// How long a browser may remember a permission: long enough to ask seldom, short enough that an
/// origin that is taken out of the settings is out.
const MAX_AGE_S: &str = "600";

/// The origins with permission.
#[derive(Debug, Clone)]
pub(super) struct Cors(std::sync::Arc<[HeaderValue]>);

impl Cors {
    /// None when nobody has permission.
    pub(super) fn of(settings: &HttpSettings) -> Option<Self> {
        let origins = settings.cors_allowed_origins.iter();
        let origins: Vec<_> =
            origins.filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
        if origins.is_empty() { None } else { Some(Self(origins.into())) }
    }

    /// The answer to a browser that asks for a page whether it may ask, when it may. Otherwise the
    /// request goes on as any other.
    pub(super) fn preflight(&self, request: &Request) -> Option<Response> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || self.permitted(request.headers()).is_none() {
            return None;
        }
        let headers = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S),
        ];
        Some((StatusCode::NO_CONTENT, headers).into_response())
    }

    /// The origin that a request names, when it has permission.
    pub(super) fn permitted(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(header::ORIGIN)?;
        self.0.iter().find(|listed| *listed == origin).cloned()
    }

    /// Lets the page of `origin` read an answer.
    pub(super) fn permit(origin: Option<HeaderValue>, answer: &mut HeaderMap) {
        answer.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let exposed = HeaderValue::from_static(ANSWER_HEADERS);
            answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}

/// `https://shop.example` or `http://localhost:3000`, as a browser writes it: lower case, no path.
pub(super) fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_allowed = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'.' | b'-' | b':' | b'[' | b']')
    };
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(is_allowed))
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn h39_an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for origin in ["https://shop.example", "http://localhost:3000", "http://[::1]:3000"] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in ["*", "null", "", "https://", "https://Shop.example", "https://a.example/"] {
            assert!(!is_origin(other), "{other}");
        }
    }
}
