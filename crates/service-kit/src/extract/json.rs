//! JSON bodies, strictly: 415 for another type, 400 for what is not JSON or not in our vocabulary,
//! 422 with a pointer for values that do not fit.

use axum::{
    body::{Body, HttpBody},
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{escaped, field_named_by, pointer, readable, scan};
use crate::{Problem, http::BodyFault};

/// A JSON body, in or out. As an extractor it refuses, besides what is not JSON, duplicate keys,
/// U+0000 and whatever the type refuses; a type that takes commands should
/// `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        check_content_type(request.headers())?;
        let bytes = read(request.into_body()).await?;
        parse(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                let json = HeaderValue::from_static("application/json");
                ([(header::CONTENT_TYPE, json)], body).into_response()
            }
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written as json");
                Problem::internal().into_response()
            }
        }
    }
}

/// `application/json`, with no charset or with UTF-8, uncompressed.
fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refused =
        || Problem::unsupported_media_type("send application/json in UTF-8, uncompressed");
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut parts = value.ok_or_else(refused)?.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => parameter.is_empty(),
    };
    let is_plain = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_json && parts.all(is_utf8) && is_plain { Ok(()) } else { Err(refused()) }
}

/// The whole body; the server's guard bounds its size and time.
async fn read(mut body: Body) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut all = Vec::new();
    while let Some(frame) = next_frame(&mut body).await {
        let Ok(data) = frame.map_err(refused_body)?.into_data() else { continue }; // trailers
        if first.is_empty() && all.is_empty() {
            first = data; // nearly always the only one, and then never copied
        } else {
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.into() })
}

async fn next_frame(body: &mut Body) -> Option<Result<hyper::body::Frame<Bytes>, axum::Error>> {
    std::future::poll_fn(|cx| std::pin::Pin::new(&mut *body).poll_frame(cx)).await
}

fn refused_body(error: axum::Error) -> Problem {
    let error = error.into_inner();
    match error.downcast_ref::<BodyFault>() {
        Some(BodyFault::TooLarge { limit_bytes }) => Problem::body_too_large(*limit_bytes),
        Some(BodyFault::TimedOut) => Problem::request_timeout(),
        Some(BodyFault::Broken(_)) | None => {
            Problem::bad_request("incomplete_body", "the body was cut off or is malformed")
        }
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::bad_request("empty_body", "a JSON body is required"));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Problem::bad_request("malformed_json", "the body is not UTF-8"))?;
    scan::check(text)?;
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value); // noting the path on the way costs as much again
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let at = pointer(error.path());
        misfit(&at, &error.inner().to_string())
    })
}

/// Takes a JSON value as a `T`, or says what is wrong and where as [`Json`] does: for bodies whose
/// type is known only after a look at them.
///
/// # Errors
/// 400 for an unknown field, 422 for what else does not fit.
pub fn fitting<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let at = pointer(error.path());
        misfit(&at, &error.inner().to_string())
    })
}

/// The problem of a document that is JSON and does not fit the type.
fn misfit(at: &str, message: &str) -> Problem {
    let detail = readable(message);
    if let Some(field) = field_named_by(message, "unknown field ") {
        // Depending on the type, the path already ends in the unknown field.
        let own = format!("/{}", escaped(field));
        let parent = at.strip_suffix(&own).unwrap_or(at);
        let problem = Problem::bad_request("unknown_field", format!("unknown field {field:?}"));
        return problem.error(format!("{parent}{own}"), detail);
    }
    if let Some(field) = field_named_by(message, "missing field ") {
        return Problem::unprocessable("missing_field", format!("missing field {field:?}"))
            .error(format!("{at}/{}", escaped(field)), "is required");
    }
    Problem::invalid_field(at, detail)
}
