//! What an operator and `verify` ask about a projector's database. Plain questions, nothing changed.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::row;

row! {
    /// A partition's checkpoint.
    #[derive(Debug, Clone, PartialEq, Eq)]
    #[allow(missing_docs)] // the columns of projection.checkpoints
    pub struct CheckpointRow {
        pub projection: String,
        pub topic: String,
        pub partition: i32,
        pub position: i64,
        pub next_offset: Option<i64>,
        pub partitions: i32,
        pub recorded_at: Option<DateTime<Utc>>,
        pub updated_at: DateTime<Utc>,
    }
}

row! {
    /// A stream that stands still, with how many of its events wait.
    #[derive(Debug, Clone, PartialEq, Eq)]
    #[allow(missing_docs)] // the columns of projection.parked_streams
    pub struct ParkedStream {
        pub projection: String,
        pub topic: String,
        pub stream_id: String,
        pub code: String,
        pub detail: String,
        pub fingerprint: String,
        pub first_position: i64,
        pub parked_at: DateTime<Utc>,
        pub events: i64,
    }
}

row! {
    /// A parked event, as it came.
    #[derive(Debug, Clone, PartialEq, Eq)]
    #[allow(missing_docs)] // the columns of projection.parked_events
    pub struct ParkedEvent {
        pub projection: String,
        pub topic: String,
        pub partition: i32,
        pub position: i64,
        pub stream_id: String,
        pub version: i64,
        pub event_id: Uuid,
        pub event_type: String,
        pub record_offset: Option<i64>,
        pub record_at_ms: Option<i64>,
        pub record_key: Option<Vec<u8>>,
        pub record_value: Option<Vec<u8>>,
        pub header_names: Vec<String>,
        pub header_values: Vec<Option<Vec<u8>>>,
        pub schema_json: Option<String>,
        pub code: String,
        pub detail: String,
        pub attempts: i32,
        pub parked_at: DateTime<Utc>,
        pub exported_at: Option<DateTime<Utc>>,
    }
}

row! {
    /// A record that is no event, as it came.
    #[derive(Debug, Clone, PartialEq, Eq)]
    #[allow(missing_docs)] // the columns of projection.foreign_records
    pub struct ForeignRecord {
        pub projection: String,
        pub topic: String,
        pub partition: i32,
        pub record_offset: i64,
        pub record_at_ms: Option<i64>,
        pub record_key: Option<Vec<u8>>,
        pub record_value: Option<Vec<u8>>,
        pub header_names: Vec<String>,
        pub header_values: Vec<Option<Vec<u8>>>,
        pub code: String,
        pub detail: String,
        pub seen_at: DateTime<Utc>,
        pub exported_at: Option<DateTime<Utc>>,
    }
}

/// Every checkpoint in the database, by projection, topic and partition.
///
/// # Errors
/// The database fails.
pub async fn checkpoints(database: &PgPool) -> Result<Vec<CheckpointRow>, sqlx::Error> {
    sqlx::query_as("select * from projection.checkpoints order by projection, topic, partition")
        .fetch_all(database)
        .await
}

/// How many events have had their effect, by projection.
///
/// # Errors
/// The database fails.
pub async fn processed(database: &PgPool) -> Result<Vec<(String, i64)>, sqlx::Error> {
    sqlx::query_as(
        "select projection, count(*) from projection.processed_events group by 1 order by 1",
    )
    .fetch_all(database)
    .await
}

/// Of these events, those that a projection has not applied.
///
/// # Errors
/// The database fails.
pub async fn unprocessed(
    database: &PgPool,
    projection: &str,
    event_ids: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "select id from unnest($2::uuid[]) id where not exists (
             select from projection.processed_events p where p.projection = $1 and p.event_id = id)",
    )
    .bind(projection)
    .bind(event_ids)
    .fetch_all(database)
    .await
}

/// The streams that stand still, oldest first.
///
/// # Errors
/// The database fails.
pub async fn parked_streams(database: &PgPool) -> Result<Vec<ParkedStream>, sqlx::Error> {
    sqlx::query_as(
        "select s.*, (
             select count(*) from projection.parked_events e
             where e.projection = s.projection and e.topic = s.topic and e.stream_id = s.stream_id
         ) as events
         from projection.parked_streams s where projection not like '%/%' -- of no rebuild
         order by s.parked_at, s.projection, s.stream_id",
    )
    .fetch_all(database)
    .await
}

/// The parked events of one stream, in order.
///
/// # Errors
/// The database fails.
pub async fn parked_events(
    database: &PgPool,
    projection: &str,
    topic: &str,
    stream_id: &str,
) -> Result<Vec<ParkedEvent>, sqlx::Error> {
    sqlx::query_as(
        "select * from projection.parked_events
         where projection = $1 and topic = $2 and stream_id = $3 order by version, position",
    )
    .bind(projection)
    .bind(topic)
    .bind(stream_id)
    .fetch_all(database)
    .await
}

/// How many events are parked, by projection.
///
/// # Errors
/// The database fails.
pub async fn parked_event_counts(database: &PgPool) -> Result<Vec<(String, i64)>, sqlx::Error> {
    sqlx::query_as(
        "select projection, count(*) from projection.parked_events group by 1 order by 1",
    )
    .fetch_all(database)
    .await
}

/// The records that are no events, oldest first, at most `limit`.
///
/// # Errors
/// The database fails.
pub async fn foreign_records(
    database: &PgPool,
    limit: i64,
) -> Result<Vec<ForeignRecord>, sqlx::Error> {
    sqlx::query_as("select * from projection.foreign_records order by seen_at limit $1")
        .bind(limit)
        .fetch_all(database)
        .await
}
