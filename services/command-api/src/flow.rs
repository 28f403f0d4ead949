//! `GET /history?correlation_id=`: what one business flow did, in all topics, read from the log.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use factline_log::{Flow, Place};
use serde::Deserialize;
use serde_json::{Value, json};
use service_kit::{
    Problem,
    extract::{Json, Query},
};
use uuid::Uuid;

use crate::{App, answer::unreadable, history};

/// How far back a flow is looked for when nobody says: flows that a person asks about are mostly of
/// today, and the answer says from when on it looked.
const DEFAULT_WINDOW: TimeDelta = TimeDelta::hours(24);
/// Between the parts of a cursor; no topic's name has it.
const BETWEEN: char = '~';

/// What a cursor is made of.
const CURSOR: &str = "^[0-9A-Za-z._~-]+$";

/// The query of a flow.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    correlation_id: Uuid,
    /// Recorded then or later.
    after: Option<DateTime<Utc>>,
    /// Recorded earlier.
    before: Option<DateTime<Utc>>,
    /// Events of one page.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of a flow: by `recorded_at`, then topic, partition and position.
///
/// # Errors
/// 400 when the cursor is none, 422 when the query contradicts itself.
pub(crate) async fn of(
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let limit = history::limit(asked.limit)?;
    let (from, place) = match (&asked.cursor, asked.after) {
        (None, after) => {
            let from = after.unwrap_or_else(|| Utc::now() - DEFAULT_WINDOW);
            (from, Place::from_time(from))
        }
        (Some(cursor), None) => parse(cursor).ok_or_else(|| {
            Problem::bad_request("malformed_cursor", "the cursor is not one of this query")
        })?,
        (Some(_), Some(_)) => {
            let detail = "a cursor goes on from where it stands, without after";
            return Err(Problem::unprocessable("contradicting_parameters", detail));
        }
    };
    let flow = Flow { correlation_id: asked.correlation_id, after: place, before: asked.before };
    let topics = [app.items.lanes.topic(), app.orders.lanes.topic(), app.customers.lanes.topic()];
    let page = app.reader.flow(&topics.map(|topic| &**topic), &flow, limit).await;
    let page = page.map_err(unreadable)?;
    let entry = |event| {
        let mut entry = history::entry(event)?;
        entry["topic"] = json!(event.envelope.topic);
        entry["stream_id"] = json!(event.envelope.stream_id);
        Ok(entry)
    };
    let events: Vec<Value> = page.events.iter().map(entry).collect::<Result<_, Problem>>()?;
    Ok(Json(json!({
        "correlation_id": asked.correlation_id,
        "after": from,
        "before": asked.before,
        "events": events,
        "next_cursor": page.next.map(|place| sealed(from, &place)),
    }))
    .into_response())
}

/// The window's beginning and the place, times in microseconds since 1970.
fn sealed(from: DateTime<Utc>, place: &Place) -> String {
    let Place { recorded_at, topic, partition, position } = place;
    let (from, at) = (from.timestamp_micros(), recorded_at.timestamp_micros());
    format!("{from}{BETWEEN}{at}{BETWEEN}{topic}{BETWEEN}{partition}{BETWEEN}{position}")
}

fn parse(cursor: &str) -> Option<(DateTime<Utc>, Place)> {
    let mut parts = cursor.split(BETWEEN);
    let from = DateTime::from_timestamp_micros(parts.next()?.parse().ok()?)?;
    let recorded_at = DateTime::from_timestamp_micros(parts.next()?.parse().ok()?)?;
    let topic = parts.next()?.to_owned();
    let partition = parts.next()?.parse().ok()?;
    let position = parts.next()?.parse().ok()?;
    let place = Place { recorded_at, topic, partition, position };
    parts.next().is_none().then_some((from, place))
}

/// The OpenAPI operation.
pub(crate) fn operation(responses: Value) -> Value {
    let time = json!({"type": "string", "format": "date-time"});
    let parameter = |name: &str, required: bool, doc: &str, schema: Value| json!({"name": name, "in": "query", "required": required, "description": doc, "schema": schema});
    json!({
        "operationId": "GET /history",
        "summary": "What one business flow did: the events of all streams with its correlation id, \
            by recorded_at, then topic, partition and position.",
        "tags": ["history"],
        "parameters": [
            parameter("correlation_id", true, "The flow.", json!({"type": "string", "format": "uuid"})),
            parameter("after", false, "Recorded then or later; without it, in the last 24 hours.", time.clone()),
            parameter("before", false, "Recorded earlier.", time),
            parameter("limit", false, "Events of one page. A page may have fewer, or none, and a \
                next_cursor all the same: so many events were looked at.",
                json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100})),
            parameter("cursor", false, "next_cursor of the page before, with the same correlation_id \
                and before.", json!({"type": "string", "pattern": CURSOR})),
        ],
        "responses": responses,
    })
}

/// The answer's JSON schema.
pub(crate) fn schema() -> Value {
    json!({"type": "object", "required": ["correlation_id", "after", "events"], "properties": {
        "correlation_id": {"type": "string", "format": "uuid"},
        "after": {"type": "string", "format": "date-time",
            "description": "From when on events were looked at."},
        "before": {"type": ["string", "null"], "format": "date-time"},
        "events": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
        "next_cursor": {"type": ["string", "null"]},
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let from = DateTime::from_timestamp_micros(1_763_712_000_000_001).unwrap();
        let topic = "factline.order.v1".to_owned();
        let place = Place { recorded_at: from, topic, partition: 3, position: 17 };
        assert_eq!(parse(&sealed(from, &place)), Some((from, place.clone())));
        let start = Place::from_time(from);
        assert_eq!(parse(&sealed(from, &start)), Some((from, start)));
        for wrong in ["", "1", "1~2~t~3", "1~2~t~3~4~5", "x~2~t~3~4", "9223372036854775807~2~t~3~4"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
