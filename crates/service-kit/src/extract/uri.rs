//! Path and query parameters, refused with problem documents.

use axum::extract::{FromRequestParts, path::ErrorKind, rejection::PathRejection};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::{field_named_by, pointer, readable};
use crate::Problem;

/// Path parameters: 422 for a value that does not fit, 400 for one that is not UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value)).map_err(refused_path)
    }
}

fn refused_path(rejection: PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(error) = rejection else {
        tracing::error!(%rejection, "a route and its handler disagree about path parameters");
        return Problem::internal();
    };
    match error.into_kind() {
        ErrorKind::InvalidUtf8InPathParam { key } => {
            Problem::bad_request("malformed_path", "the path is not UTF-8")
                .error(key, "is not UTF-8")
        }
        ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
            Problem::invalid_field(key, format!("must be of type {expected_type}"))
        }
        ErrorKind::DeserializeError { key, message, .. } => {
            Problem::invalid_field(key, readable(&message))
        }
        ErrorKind::ParseError { expected_type, .. }
        | ErrorKind::ParseErrorAtIndex { expected_type, .. } => {
            Problem::invalid_field("path", format!("must be of type {expected_type}"))
        }
        ErrorKind::Message(message) => Problem::invalid_field("path", readable(&message)),
        kind => {
            let error = kind.to_string();
            tracing::error!(error, "a route and its handler disagree about path parameters");
            Problem::internal()
        }
    }
}

/// Query parameters: 400 for an unknown or repeated one (the type should
/// `#[serde(deny_unknown_fields)]`), 422 for a value that does not fit.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        if let Some((name, _)) = pairs.clone().find(|(name, value)| has_nul(name) || has_nul(value))
        {
            return Err(Problem::invalid_field(name.replace('\0', ""), "must not contain U+0000"));
        }
        let deserializer = serde_urlencoded::Deserializer::new(pairs);
        serde_path_to_error::deserialize(deserializer).map(Self).map_err(|error| {
            let at = pointer(error.path());
            misfit(at.trim_start_matches('/'), &error.inner().to_string())
        })
    }
}

fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

fn misfit(at: &str, message: &str) -> Problem {
    if let Some(name) = field_named_by(message, "unknown field ") {
        return Problem::bad_request("unknown_parameter", format!("unknown parameter {name:?}"))
            .error(name, readable(message));
    }
    if let Some(name) = field_named_by(message, "duplicate field ") {
        return Problem::bad_request("repeated_parameter", format!("{name:?} appears twice"))
            .error(name, "appears twice");
    }
    if let Some(name) = field_named_by(message, "missing field ") {
        return Problem::unprocessable("missing_parameter", format!("missing parameter {name:?}"))
            .error(name, "is required");
    }
    Problem::invalid_field(at, readable(message))
}
