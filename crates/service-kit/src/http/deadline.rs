//! `X-Request-Deadline`: until when the caller waits. When that has passed before the work begins,
//! the work is not begun: nobody would read its answer. Work that has begun is finished.

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName};
use tokio::time::Instant;

use crate::Problem;

const X_REQUEST_DEADLINE: HeaderName = HeaderName::from_static("x-request-deadline");

/// The caller's, by the wall clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(DateTime<Utc>);

impl Deadline {
    /// # Errors
    /// 400 when it is not an RFC 3339 time, 504 when it has passed.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(X_REQUEST_DEADLINE).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let text = value.to_str().ok().filter(|_| values.next().is_none());
        let time = text.and_then(|text| DateTime::parse_from_rfc3339(text.trim()).ok());
        let deadline = time.map(|time| Self(time.to_utc())).ok_or_else(|| {
            let detail = "the header x-request-deadline must be a time as in RFC 3339";
            Problem::bad_request("malformed_header", detail)
                .error("x-request-deadline", "is malformed")
        })?;
        deadline.left().map(|_| Some(deadline))
    }

    /// When it is by this process's own clock.
    ///
    /// # Errors
    /// 504 when it has passed.
    pub(super) fn left(self) -> Result<Instant, Problem> {
        let left = self.0.signed_duration_since(Utc::now()).to_std();
        let left = left.map_err(|_negative| {
            metrics::counter!("factline_http_deadlines_passed_total").increment(1);
            Problem::deadline_passed()
        })?;
        // A time that no clock reaches is no deadline.
        let now = Instant::now();
        Ok(now.checked_add(left).unwrap_or(now + FAR))
    }
}

/// Longer than anything that is waited for.
const FAR: std::time::Duration = std::time::Duration::from_secs(86_400);
