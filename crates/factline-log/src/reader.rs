//! Reading the log: by position for whoever follows it, by stream for history.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use chrono::{DateTime, Utc};
use factline_codec::StoredEvent;
use factline_core::{Envelope, Fault, Position, StreamId, Version, partition_for};
use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::{audit, classify, schemas::SchemaBook, without_open_transactions};

/// Reads the log through a pool of its own. Needs no right but SELECT.
#[derive(Clone)]
pub struct LogReader {
    pool: PgPool,
    pub(crate) schemas: Arc<SchemaBook>,
    partitions: Arc<RwLock<HashMap<String, i32>>>,
}

/// How far into a stream's history to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamBound {
    /// All of it.
    Everything,
    /// Up to this version, included.
    Version(Version),
    /// What had occurred by then, in the business's time.
    OccurredBy(DateTime<Utc>),
}

/// Selected in this order everywhere, so that one function turns a row into an event.
macro_rules! columns {
    () => {
        "e.topic, e.partition, e.position, e.stream_id, e.version, e.event_id, e.schema_id, \
         e.payload, e.correlation_id, e.causation_id, e.actor, e.traceparent, e.occurred_at, \
         e.recorded_at, e.command_key"
    };
}
pub(crate) use columns;

pub(crate) type EventRow = (
    String,
    i32,
    i64,
    String,
    i64,
    Uuid,
    i16,
    Vec<u8>,
    Uuid,
    Uuid,
    Option<String>,
    Option<String>,
    DateTime<Utc>,
    DateTime<Utc>,
    Option<Uuid>,
);

const AFTER: &str = concat!(
    "select ",
    columns!(),
    " from unnest($2::int[], $3::bigint[]) c (partition, position)
     cross join lateral (
         select * from log.events
         where topic = $1 and partition = c.partition and position > c.position
         order by position limit $4
     ) e
     order by e.partition, e.position"
);

const STREAM: &str = concat!(
    "select ",
    columns!(),
    " from log.events e
     where topic = $1 and partition = $2 and stream_id = $3 and version > $4
       and version <= $5 and ($6::timestamptz is null or occurred_at <= $6)
     order by version limit $7"
);

impl LogReader {
    /// A reader whose connections are opened when needed.
    ///
    /// # Errors
    /// The address cannot be read.
    pub fn new(url: &str, connections: u32) -> Result<Self, Fault> {
        let options = url
            .parse::<sqlx::postgres::PgConnectOptions>()
            .map_err(|error| classify("reading the log's address", error))?
            .options([("enable_seqscan", "off"), ("timezone", "UTC")])
            // Every read is one of a few statements whose plan depends on no value: planning anew
            // costs four times what the relay's usual page costs.
            .options([("plan_cache_mode", "force_generic_plan")]);
        let pool = without_open_transactions(PgPoolOptions::new())
            .max_connections(connections)
            // One second: a caller that waits longer for a connection is told "unavailable".
            .acquire_timeout(std::time::Duration::from_secs(1))
            .connect_lazy_with(options);
        Ok(Self { pool, schemas: Arc::default(), partitions: Arc::default() })
    }

    /// The next events of one partition after a position, in order, at most `limit`.
    ///
    /// # Errors
    /// The database fails, or an event's schema is missing.
    pub async fn read(
        &self,
        topic: &str,
        partition: i32,
        after: Position,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, Fault> {
        self.read_after(topic, &[(partition, after)], limit).await
    }

    /// The next events of several partitions after their cursors, by partition and position, at
    /// most `limit_per_partition` of each.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_after(
        &self,
        topic: &str,
        cursors: &[(i32, Position)],
        limit_per_partition: i64,
    ) -> Result<Vec<StoredEvent>, Fault> {
        let mut connection = self.pool.acquire().await.map_err(unread)?;
        let rows = rows_after(&mut connection, topic, cursors, limit_per_partition).await?;
        stored(&mut connection, &self.schemas, rows).await
    }

    /// The last position of every partition of a topic, in the order of the partitions.
    ///
    /// # Errors
    /// The database fails.
    pub async fn heads(&self, topic: &str) -> Result<Vec<(i32, Position)>, Fault> {
        const HEADS: &str =
            "select partition, position from log.heads where topic = $1 order by partition";
        let rows: Vec<(i32, i64)> = sqlx::query_as(HEADS)
            .bind(topic)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| classify("reading the log's heads", error))?;
        Ok(rows.into_iter().map(|(partition, position)| (partition, Position(position))).collect())
    }

    /// A stream's events after a version and within a bound, in order, at most `limit`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn stream(
        &self,
        topic: &str,
        stream_id: &StreamId,
        after: Version,
        bound: StreamBound,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, Fault> {
        let partition = partition_for(stream_id.as_str(), self.partitions(topic).await?);
        let mut connection =
            self.pool.acquire().await.map_err(|error| classify("reading a stream", error))?;
        let rows =
            stream_rows(&mut connection, topic, partition, stream_id, after, bound, limit).await?;
        stored(&mut connection, &self.schemas, rows).await
    }

    /// Those of these events that belong to the stream.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn of_stream(
        &self,
        topic: &str,
        stream_id: &StreamId,
        event_ids: &[Uuid],
    ) -> Result<Vec<Uuid>, Fault> {
        const OF_STREAM: &str = "
            select event_id from (
                select event_id from log.events
                where topic = $1 and partition = $2 and stream_id = $3
                order by version -- so that the stream's own index is the one to read
            ) e
            where event_id = any($4)";
        let partition = partition_for(stream_id.as_str(), self.partitions(topic).await?);
        sqlx::query_scalar(OF_STREAM)
            .bind(topic)
            .bind(partition)
            .bind(stream_id.as_str())
            .bind(event_ids)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| classify("looking for events of a stream", error))
    }

    /// How many partitions a topic has.
    ///
    /// # Errors
    /// The database fails; fatal when the topic is not there: the log was not migrated.
    pub async fn partitions(&self, topic: &str) -> Result<i32, Fault> {
        const DOING: &str = "reading a topic's partitions";
        if let Some(partitions) = self.known_partitions(topic) {
            return Ok(partitions);
        }
        let found: Option<(i32,)> =
            sqlx::query_as("select partitions from log.topics where topic = $1")
                .bind(topic)
                .fetch_optional(&self.pool)
                .await
                .map_err(|error| classify(DOING, error))?;
        let (partitions,) =
            found.ok_or_else(|| Fault::fatal(DOING, format!("the log has no topic {topic}")))?;
        let mut known = self.partitions.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(topic.to_owned(), partitions);
        Ok(partitions)
    }

    fn known_partitions(&self, topic: &str) -> Option<i32> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).get(topic).copied()
    }

    /// Does the server keep what it acknowledges, and can the role of this reader's address not
    /// change it?
    ///
    /// # Errors
    /// Fatal with a sentence for the operator when not; otherwise the database fails.
    pub async fn audit(&self) -> Result<(), Fault> {
        let mut connection =
            self.pool.acquire().await.map_err(|error| classify("auditing the log", error))?;
        audit::audit(&mut connection).await
    }

    /// The pool, for an operator's own questions.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

fn unread(error: sqlx::Error) -> Fault {
    classify("reading the log", error)
}

/// The rows after cursors, by partition and position.
pub(crate) async fn rows_after(
    connection: &mut PgConnection,
    topic: &str,
    cursors: &[(i32, Position)],
    limit_per_partition: i64,
) -> Result<Vec<EventRow>, Fault> {
    let partitions: Vec<i32> = cursors.iter().map(|cursor| cursor.0).collect();
    let positions: Vec<i64> = cursors.iter().map(|cursor| cursor.1.0).collect();
    sqlx::query_as(AFTER)
        .bind(topic)
        .bind(partitions)
        .bind(positions)
        .bind(limit_per_partition)
        .fetch_all(connection)
        .await
        .map_err(unread)
}

/// A stream's rows; the command's key is their last column.
pub(crate) async fn stream_rows(
    connection: &mut PgConnection,
    topic: &str,
    partition: i32,
    stream_id: &StreamId,
    after: Version,
    bound: StreamBound,
    limit: i64,
) -> Result<Vec<EventRow>, Fault> {
    let (to_version, by) = match bound {
        StreamBound::Everything => (i64::MAX, None),
        StreamBound::Version(version) => (version.0, None),
        StreamBound::OccurredBy(time) => (i64::MAX, Some(time)),
    };
    sqlx::query_as(STREAM)
        .bind(topic)
        .bind(partition)
        .bind(stream_id.as_str())
        .bind(after.0)
        .bind(to_version)
        .bind(by)
        .bind(limit)
        .fetch_all(connection)
        .await
        .map_err(|error| classify("reading a stream", error))
}

/// Rows as events, each with the schema that wrote it.
pub(crate) async fn stored(
    connection: &mut PgConnection,
    schemas: &SchemaBook,
    rows: Vec<EventRow>,
) -> Result<Vec<StoredEvent>, Fault> {
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let schema = schemas.get(connection, row.6).await?;
        let stream_id = StreamId::parse(&row.3)
            .map_err(|error| Fault::poison("reading a stored event", error))?;
        let envelope = Envelope {
            topic: row.0.into(),
            partition: row.1,
            position: Position(row.2),
            stream_id,
            version: Version(row.4),
            event_id: row.5,
            event_type: schema.full_name().clone(),
            correlation_id: row.8,
            causation_id: row.9,
            actor: row.10,
            traceparent: row.11,
            occurred_at: row.12,
            recorded_at: row.13,
        };
        events.push(StoredEvent { envelope, schema, datum: row.7.into() });
    }
    Ok(events)
}
