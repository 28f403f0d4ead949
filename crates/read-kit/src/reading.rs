//! What every query does around its own statement: waits until the view shows what the caller has
//! written, says how fresh the answer is, turns a database's no into an answer.

use std::time::{Duration, Instant};

use axum::response::{IntoResponseParts, ResponseParts};
use chrono::Utc;
use factline_core::Token;
use factline_projection::{Class, Freshness, GateError, ReadGate, class_of};
use http::{HeaderName, HeaderValue};
use service_kit::{Problem, extract::ConsistencyTokens};
use sqlx::PgPool;

/// How far the projection is: `topic:partition:position`, separated by commas. May be sent back as
/// a `Consistency-Token`, to any replica, to see nothing older.
const POSITION: HeaderName = HeaderName::from_static("projection-position");
/// Seconds since the newest event that the answer shows was recorded.
const AGE: HeaderName = HeaderName::from_static("projection-age-seconds");
/// An answer that is not there yet is there a moment later, or the projection is in trouble.
const RETRY_AFTER_S: u32 = 1;

/// A view that can be asked; [`begin`](crate::begin) makes it. Cheap to clone.
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
    /// Waits until the view has passed the tokens. What is read from the pool after that is at
    /// least so fresh. Safe to cancel.
    ///
    /// # Errors
    /// The tokens are of something else (400), or the view is not there in time (503).
    pub async fn fresh(&self, tokens: &ConsistencyTokens) -> Result<Fresh, Problem> {
        self.gate.wait_for(&tokens.0, self.wait).await.map(Fresh).map_err(refused)
    }
}

/// The same for an answer that is made of several views of one database: each waits for the tokens
/// of the topics that it reads, all of them within the first one's time. Safe to cancel.
///
/// # Errors
/// A token is of a topic that none of them reads (400), or a view is not there in time (503).
pub async fn fresh_together(
    views: &[&Reading],
    tokens: &ConsistencyTokens,
) -> Result<Fresh, Problem> {
    let stranger = |token: &&Token| !views.iter().any(|view| view.gate.reads(&token.topic));
    if let Some(Token { topic, partition, .. }) = tokens.0.iter().find(stranger) {
        return Err(refused(GateError::Unknown { topic: topic.clone(), partition: *partition }));
    }
    let until = Instant::now() + views.first().map_or(Duration::ZERO, |view| view.wait);
    let mut together = Freshness::default();
    for view in views {
        let own = tokens.0.iter().filter(|token| view.gate.reads(&token.topic)).cloned();
        let own: Vec<Token> = own.collect();
        let left = until.saturating_duration_since(Instant::now());
        let fresh = view.gate.wait_for(&own, left).await.map_err(refused)?;
        together.partitions.extend(fresh.partitions);
    }
    Ok(Fresh(together))
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

/// The answer when the database gives none: 503 if time may cure it, else 500. Logged here.
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

/// How fresh an answer is, as the headers `Projection-Position` and `Projection-Age-Seconds`.
#[derive(Debug, Clone)]
pub struct Fresh(pub(crate) Freshness);

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

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use factline_core::Position;
    use factline_projection::PartitionFreshness;
    use http::StatusCode;

    use super::*;

    fn partition(partition: i32, recorded: bool) -> PartitionFreshness {
        PartitionFreshness {
            topic: "factline.parcel.v1".into(),
            partition,
            partitions: 2,
            position: Position(7),
            recorded_at: recorded.then(Utc::now),
        }
    }

    fn headers(partitions: Vec<PartitionFreshness>) -> http::HeaderMap {
        (Fresh(Freshness { partitions }), "").into_response().headers().clone()
    }

    #[test]
    fn an_answer_says_how_far_its_view_is_and_how_old() {
        let headers = headers(vec![partition(0, true), partition(1, false)]);
        assert_eq!(headers[POSITION], "factline.parcel.v1:0:7, factline.parcel.v1:1:7");
        let age_s: f64 = headers[AGE].to_str().unwrap().parse().unwrap();
        assert!((0.0..60.0).contains(&age_s), "{age_s}");
    }

    #[test]
    fn a_view_of_nothing_has_no_age() {
        assert!(!headers(Vec::new()).contains_key(AGE));
    }

    #[test]
    fn h38_a_token_ahead_of_the_view_is_503_and_one_of_something_else_400() {
        let token = "factline.parcel.v1:1:9".parse().unwrap();
        let ahead = refused(GateError::NotYet { token, current: Position(7) });
        assert_eq!((ahead.status().as_u16(), ahead.code()), (503, "not_yet_consistent"));
        let members = &ahead.document().members;
        assert_eq!(members["partition"], "factline.parcel.v1:1");
        assert_eq!(
            (&members["current_position"], &members["wanted_position"]),
            (&7.into(), &9.into())
        );
        let unknown = GateError::Unknown { topic: "factline.letter.v1".into(), partition: 0 };
        let unknown = refused(unknown);
        assert_eq!((unknown.status().as_u16(), unknown.code()), (400, "unknown_partition"));
    }

    #[tokio::test]
    async fn h38_a_token_that_none_of_several_views_reads_is_400_before_anything_is_asked() {
        let nowhere = PgPool::connect_lazy("postgres://localhost:1/nowhere").unwrap();
        let view = |name: &str, topic: &str| Reading {
            pool: nowhere.clone(),
            gate: ReadGate::new(nowhere.clone(), name, vec![topic.into()]),
            wait: Duration::ZERO,
        };
        let parcels = view("parcels", "factline.parcel.v1");
        let letters = view("letters", "factline.letter.v1");
        let tokens = ["factline.parcel.v1:0:1", "factline.card.v1:0:1"];
        let tokens = ConsistencyTokens(tokens.map(|token| token.parse().unwrap()).into());
        let refused = fresh_together(&[&parcels, &letters], &tokens).await.unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.code()), (400, "unknown_partition"));
    }

    #[test]
    fn a_database_that_is_away_is_503_and_a_defect_is_500() {
        let away = unanswered(&sqlx::Error::PoolTimedOut);
        assert_eq!(away.code(), "database_unavailable");
        assert_eq!(away.into_response().headers()["retry-after"], "1");
        let defect = unanswered(&sqlx::Error::ColumnNotFound("weight".to_owned()));
        assert_eq!(defect.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(defect.document().detail, None);
    }
}
