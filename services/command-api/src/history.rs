//! An item's history: the audit trail, and the state that it had then. Read from the log itself.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use domain::inventory::{Item, KnownItem};
use factline_codec::{StoredEvent, decode_to_json};
use factline_core::{Fault, StreamId, Version};
use factline_log::{StreamBound, state_at};
use serde::Deserialize;
use serde_json::{Value, json};
use service_kit::{
    Problem,
    extract::{Json, Path, Query},
};

use crate::App;

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

/// `GET /inventory/{sku}/history`.
pub(crate) async fn of_item(
    State(app): State<App>,
    Path(sku): Path<String>,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    self::page(&app, &sku, page).await
}

/// A page of the audit trail, or the state at a version or a time.
///
/// # Errors
/// 404 when there is no such item (or was none then), 422 when the query contradicts itself.
pub(crate) async fn page(app: &App, sku: &str, page: Page) -> Result<Response, Problem> {
    let sku =
        StreamId::parse(sku).map_err(|error| Problem::invalid_field("sku", error.to_string()))?;
    match page {
        Page { at: Some(at), version: None, after: None, limit: None } => {
            state(app, &sku, StreamBound::OccurredBy(at)).await
        }
        Page { at: None, version: Some(version), after: None, limit: None } if version >= 1 => {
            state(app, &sku, StreamBound::Version(Version(version))).await
        }
        Page { at: None, version: None, after, limit } => {
            let limit = limit.unwrap_or(DEFAULT_LIMIT);
            if !(1..=MAX_LIMIT).contains(&limit) {
                let detail = format!("must be 1 to {MAX_LIMIT}");
                return Err(Problem::invalid_field("limit", detail));
            }
            trail(app, &sku, Version(after.unwrap_or(0)), limit).await
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

async fn trail(app: &App, sku: &StreamId, after: Version, limit: i64) -> Result<Response, Problem> {
    let bound = StreamBound::Everything;
    let events =
        app.reader.stream(app.items.topic(), sku, after, bound, limit).await.map_err(unreadable)?;
    if events.is_empty() && after == Version::ZERO {
        return Err(unknown_item());
    }
    let full = i64::try_from(events.len()).unwrap_or(i64::MAX) == limit;
    let next_after = events.last().filter(|_| full).map(|event| event.envelope.version);
    let events: Vec<Value> = events.iter().map(entry).collect::<Result<_, _>>()?;
    Ok(Json(json!({ "sku": sku, "events": events, "next_after": next_after })).into_response())
}

/// When, what, who, and what caused it.
fn entry(stored: &StoredEvent) -> Result<Value, Problem> {
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

async fn state(app: &App, sku: &StreamId, bound: StreamBound) -> Result<Response, Problem> {
    let found = state_at::<Item>(&app.reader, &app.codec, app.items.topic(), sku, bound).await;
    let (item, version) = found.map_err(unreadable)?.ok_or_else(unknown_item)?;
    let item = item.known().ok_or_else(unknown_item)?;
    let KnownItem { name, unit_price_cents, currency, reorder_point, discontinued, .. } = item;
    Ok(Json(json!({
        "sku": sku,
        "version": version,
        "state": {
            "name": name,
            "unit_price_cents": unit_price_cents,
            "currency": currency,
            "on_hand": item.on_hand,
            "reserved": item.reserved,
            "available": item.available(),
            "reservations": item.reservations,
            "reorder_point": reorder_point,
            "discontinued": discontinued,
        },
    }))
    .into_response())
}

fn unknown_item() -> Problem {
    Problem::not_found("unknown_item", "there is no such item, or was none then")
}

fn unreadable(fault: Fault) -> Problem {
    match fault {
        Fault::Transient { .. } => {
            tracing::warn!(error = %fault, "a history cannot be read now");
            Problem::unavailable("log_unavailable", "the log is not available", 1)
        }
        Fault::Poison { .. } | Fault::Fatal { .. } => {
            tracing::error!(error = %fault, "a history cannot be read");
            Problem::internal()
        }
    }
}
