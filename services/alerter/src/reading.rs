//! What every query does around its own statement: waits until the view shows what the caller has
//! written, says how fresh the answer is, turns a database's no into an answer.

use std::time::Duration;

use axum::response::{IntoResponseParts, ResponseParts};
use chrono::Utc;
use factline_projection::{Class, Freshness, GateError, ReadGate, class_of};
use http::{HeaderName, HeaderValue};
use service_kit::{Problem, extract::ConsistencyTokens};
use sqlx::PgPool;

/// How far the projection is: `topic:partition:position`, separated by commas. May be sent back as
/// a `Consistency-Token`, to any replica, to see nothing older.
pub const POSITION: HeaderName = HeaderName::from_static("projection-position");
/// Seconds since the newest event that the answer shows was recorded.
pub const AGE: HeaderName = HeaderName::from_static("projection-age-seconds");
/// An answer that is not there yet is there a moment later, or the projection is in trouble.
const RETRY_AFTER_S: u32 = 1;

/// A view that can be asked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Where its rows are.
    pub pool: PgPool,
    /// How far it is.
    pub gate: ReadGate,
    /// How long a query may wait for its tokens.
    pub wait: Duration,
}

impl Reading {
    /// Waits until the view has passed the tokens. What is read after that is at least so fresh.
    ///
    /// # Errors
    /// The tokens are of something else (400), or the view is not there in time (503).
    pub async fn fresh(&self, tokens: &ConsistencyTokens) -> Result<Fresh, Problem> {
        self.gate.wait_for(&tokens.0, self.wait).await.map(Fresh).map_err(refused)
    }
}

fn refused(error: GateError) -> Problem {
    match error {
        GateError::Unknown { .. } => Problem::bad_request("unknown_partition", error.to_string())
            .error("consistency-token", "names no partition that this view reads"),
        GateError::NotYet { ref token, current } => {
            let partition = format!("{}:{}", token.topic, token.partition);
            Problem::unavailable("not_yet_consistent", error.to_string(), RETRY_AFTER_S)
                .with("partition", partition)
                .with("current_position", current.0)
                .with("wanted_position", token.position.0)
        }
        GateError::Unavailable(error) => unanswered(&error),
    }
}

/// The answer when the database gives none; logged here.
#[must_use]
pub fn unanswered(error: &sqlx::Error) -> Problem {
    match class_of(error) {
        Class::Transient => {
            tracing::warn!(%error, "a query waits for the database");
            Problem::unavailable("database_unavailable", "the read model is away", RETRY_AFTER_S)
        }
        Class::Config | Class::Poison | Class::Unknown => {
            tracing::error!(%error, "a query failed");
            Problem::internal()
        }
    }
}

/// How fresh an answer is, as headers.
#[derive(Debug, Clone)]
pub struct Fresh(Freshness);

impl IntoResponseParts for Fresh {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let age = self.0.age_seconds(Utc::now()).map(|seconds| format!("{seconds:.3}"));
        for (name, text) in [(POSITION, Some(self.0.header())), (AGE, age)] {
            if let Some(Ok(value)) = text.map(|text| HeaderValue::from_str(&text)) {
                parts.headers_mut().insert(name, value);
            }
        }
        Ok(parts)
    }
}
