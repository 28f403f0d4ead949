//! A stream's history: the audit trail, and the state that it had then. Read from the log itself.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use factline_codec::{StoredEvent, decode_to_json};
use factline_core::{Fault, StreamId, Version};
use factline_log::{StreamBound, state_at};
use serde::Deserialize;
use serde_json::{Value, json};
use service_kit::{
    Problem,
    extract::{Json, Path, Query},
};

use crate::{App, answer::unreadable, kinds::Kind};

/// Events of one page at most: as many as fit an answer of about 500 KiB.
const MAX_LIMIT: i64 = 1_000;
const DEFAULT_LIMIT: i64 = 100;

/// The query of a history.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// The state at this time of the business.
    at: Option<DateTime<Utc>>,
    /// The state at this version.
    version: Option<i64>,
    /// The audit trail after this version.
    after: Option<i64>,
    /// Events of one page.
    limit: Option<i64>,
}

impl Page {
    pub(crate) fn first() -> Self {
        Self::default()
    }
}

/// `GET …/history`.
pub(crate) async fn of<A: Kind>(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    self::page::<A>(&app, id, page).await
}

/// A page of the audit trail, or the state at a version or a time.
///
/// # Errors
/// 404 when there is no such stream (or was none then), 422 when the query contradicts itself.
pub(crate) async fn page<A: Kind>(app: &App, id: String, page: Page) -> Result<Response, Problem> {
    let id = A::stream_id(&Value::String(id)).map_err(|errors| {
        Problem::invalid_field(
            A::ID,
            errors.0.into_iter().map(|error| error.detail).collect::<String>(),
        )
    })?;
    match page {
        Page { at: Some(at), version: None, after: None, limit: None } => {
            state::<A>(app, &id, StreamBound::OccurredBy(at)).await
        }
        Page { at: None, version: Some(version), after: None, limit: None } if version >= 1 => {
            state::<A>(app, &id, StreamBound::Version(Version(version))).await
        }
        Page { after: Some(..=-1), .. } => {
            Err(Problem::invalid_field("after", "must not be negative"))
        }
        Page { at: None, version: None, after, limit } => {
            trail::<A>(app, &id, Version(after.unwrap_or(0)), self::limit(limit)?).await
        }
        Page { version: Some(..1), .. } => {
            Err(Problem::invalid_field("version", "must be at least 1"))
        }
        Page { .. } => Err(Problem::unprocessable(
            "contradicting_parameters",
            "at and version each stand alone; after and limit page through the trail",
        )),
    }
}

/// Events of one page, as asked for.
///
/// # Errors
/// 422 when it is out of range.
pub(crate) fn limit(asked: Option<i64>) -> Result<i64, Problem> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::invalid_field("limit", format!("must be 1 to {MAX_LIMIT}")))
}

async fn trail<A: Kind>(
    app: &App,
    id: &StreamId,
    after: Version,
    limit: i64,
) -> Result<Response, Problem> {
    let (topic, bound) = (A::store(app).lanes.topic(), StreamBound::Everything);
    let events = app.reader.stream(topic, id, after, bound, limit).await.map_err(unreadable)?;
    if events.is_empty() && after == Version::ZERO {
        return Err(unknown::<A>());
    }
    let full = i64::try_from(events.len()).unwrap_or(i64::MAX) == limit;
    let next_after = events.last().filter(|_| full).map(|event| event.envelope.version);
    let events: Vec<Value> = events.iter().map(entry).collect::<Result<_, _>>()?;
    Ok(Json(json!({ A::ID: id, "events": events, "next_after": next_after })).into_response())
}

/// When, what, who, and what caused it.
pub(crate) fn entry(stored: &StoredEvent) -> Result<Value, Problem> {
    let envelope = &stored.envelope;
    let data = decode_to_json(&stored.schema, &stored.datum)
        .map_err(|error| unreadable(Fault::fatal("decoding an event of a history", error)))?;
    Ok(json!({
        "version": envelope.version,
        "event_type": envelope.event_type,
        "event_id": envelope.event_id,
        "occurred_at": envelope.occurred_at,
        "recorded_at": envelope.recorded_at,
        "actor": envelope.actor,
        "partition": envelope.partition,
        "position": envelope.position,
        "correlation_id": envelope.correlation_id,
        "causation_id": envelope.causation_id,
        "data": data,
    }))
}

async fn state<A: Kind>(app: &App, id: &StreamId, bound: StreamBound) -> Result<Response, Problem> {
    let store = A::store(app);
    let found = state_at::<A>(&app.reader, &store.codec, store.lanes.topic(), id, bound).await;
    let (state, version) = found.map_err(unreadable)?.ok_or_else(unknown::<A>)?;
    let state = state.shown().ok_or_else(unknown::<A>)?;
    Ok(Json(json!({ A::ID: id, "version": version, "state": state })).into_response())
}

fn unknown<A: Kind>() -> Problem {
    Problem::not_found(A::UNKNOWN, "there is no such stream, or was none then")
}
