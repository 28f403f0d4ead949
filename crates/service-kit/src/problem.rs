//! Problem documents (RFC 9457): every answer that is not a success, in one shape, with a stable
//! code and nothing internal.

use std::{borrow::Cow, collections::BTreeMap};

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::RequestContext;

/// A problem on its way to the caller.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    document: ProblemDocument,
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The body of an answer that is not a success: `application/problem+json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProblemDocument {
    /// A URI for the kind of problem; the same for the same `code`.
    #[serde(rename = "type")]
    #[schema(example = "urn:factline:problem:unknown_field")]
    pub kind: String,
    /// The status in words.
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// Stable and meant for programs.
    #[schema(example = "unknown_field")]
    pub code: Cow<'static, str>,
    /// What is wrong this time, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The trace to ask the operators about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// What else this kind of problem says.
    #[serde(flatten)]
    pub members: BTreeMap<String, Value>,
}

/// One field's fault.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldError {
    /// A JSON pointer into the body (RFC 6901), or the name of a parameter or header.
    #[schema(example = "/quantity")]
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl utoipa::PartialSchema for Problem {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        ProblemDocument::schema()
    }
}

impl ToSchema for Problem {
    fn name() -> Cow<'static, str> {
        "Problem".into()
    }

    fn schemas(
        schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>,
    ) {
        ProblemDocument::schemas(schemas);
    }
}

impl Problem {
    /// A problem with a status and a stable code in `snake_case`.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>) -> Self {
        let code = code.into();
        let document = ProblemDocument {
            kind: format!("urn:factline:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            code,
            detail: None,
            trace_id: None,
            errors: Vec::new(),
            members: BTreeMap::new(),
        };
        Self(Box::new(Parts { document, status, headers: Vec::new() }))
    }

    /// Says what is wrong this time; nothing internal.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.document.detail = Some(detail.into());
        self
    }

    /// Adds a field's fault.
    #[must_use]
    pub fn error(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = FieldError { pointer: pointer.into(), detail: detail.into() };
        self.0.document.errors.push(error);
        self
    }

    /// Adds a member of its own to the document.
    #[must_use]
    pub fn with(mut self, member: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.document.members.insert(member.into(), value.into());
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The status it answers with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.document.code
    }

    /// The body that will be answered, without its trace id.
    #[must_use]
    pub fn document(&self) -> &ProblemDocument {
        &self.0.document
    }

    /// 400: the request cannot be read.
    pub fn bad_request(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code).detail(detail)
    }

    /// 404.
    pub fn not_found(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code).detail(detail)
    }

    /// 405; the router adds `Allow`.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
            .detail("the Allow header lists the methods of this path")
    }

    /// 406.
    #[must_use]
    pub fn not_acceptable() -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable")
            .detail("answers are application/json; accept that or */*")
    }

    /// 408; the connection is closed.
    #[must_use]
    pub fn request_timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout")
            .detail("the request's body did not arrive in time")
    }

    /// 409.
    pub fn conflict(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code).detail(detail)
    }

    /// 412 with the version that is current.
    #[must_use]
    pub fn precondition_failed(current_version: i64) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "version_mismatch")
            .detail(format!("the current version is {current_version}"))
            .with("current_version", current_version)
    }

    /// 413; the connection is closed.
    #[must_use]
    pub fn body_too_large(limit_bytes: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large")
            .detail(format!("a body may have {limit_bytes} bytes"))
    }

    /// 414; the connection is closed.
    #[must_use]
    pub fn uri_too_long(limit_bytes: usize) -> Self {
        Self::new(StatusCode::URI_TOO_LONG, "uri_too_long")
            .detail(format!("path and query may have {limit_bytes} bytes together"))
    }

    /// 415.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type").detail(detail)
    }

    /// 422: read, but refused by a rule or with an invalid field.
    pub fn unprocessable(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code).detail(detail)
    }

    /// 422 for one field.
    pub fn invalid_field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::unprocessable("invalid_field", "a field is invalid").error(pointer, detail)
    }

    /// 429 with the seconds to wait.
    #[must_use]
    pub fn too_many_requests(retry_after_s: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests").retry_after(retry_after_s)
    }

    /// 431; the connection is closed.
    #[must_use]
    pub fn headers_too_large(limit_bytes: usize) -> Self {
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")
            .detail(format!("headers may have {limit_bytes} bytes together"))
    }

    /// 500 and nothing else; log the cause where it is handled.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error")
    }

    /// 503 with the seconds to wait.
    pub fn unavailable(
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
        retry_after_s: u32,
    ) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code).detail(detail).retry_after(retry_after_s)
    }

    /// 504: the time that the caller gave is over; nothing was done.
    #[must_use]
    pub fn deadline_passed() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "deadline_passed")
            .detail("X-Request-Deadline has passed; nothing was done")
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// These leave an unread rest of the request on the connection, so it cannot go on.
    fn closes_the_connection(&self) -> bool {
        matches!(self.0.status.as_u16(), 408 | 413 | 414 | 431)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let close = self.closes_the_connection();
        let Parts { mut document, status, headers } = *self.0;
        document.trace_id = RequestContext::current().map(|context| context.trace.trace_id());
        let body = serde_json::to_vec(&document).unwrap_or_default(); // strings and numbers only
        let mut response = (status, body).into_response();
        let out = response.headers_mut();
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if close {
            out.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        out.extend(headers);
        response
    }
}
