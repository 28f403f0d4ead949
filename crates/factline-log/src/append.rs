//! One call of `log.append`: arrays in, places out.

use chrono::{DateTime, Utc};
use factline_core::{Position, StreamId, Version};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Fingerprint;

/// What a batch holds for one stream: taken whole or not at all.
pub(crate) struct Group<'a> {
    pub partition: i32,
    pub stream_id: &'a StreamId,
    /// The version that the events were decided on.
    pub expected: Version,
    /// The keys of all its commands, those without events too.
    pub keys: Vec<Uuid>,
    pub events: Vec<NewEvent<'a>>,
}

/// An event on its way into the log; its version follows from its place in the group.
pub(crate) struct NewEvent<'a> {
    pub event_id: Uuid,
    pub schema_id: i16,
    pub payload: &'a [u8],
    pub correlation_id: Uuid,
    pub causation_id: Uuid,
    pub actor: Option<&'a str>,
    pub traceparent: Option<&'a str>,
    /// On a command's first event only.
    pub command: Option<(Uuid, &'a Fingerprint)>,
    pub occurred_at: DateTime<Utc>,
}

/// Where an append put things.
pub(crate) struct Appended {
    /// For each group: its events' positions in order, or `None` when it was not taken.
    pub positions: Vec<Option<Vec<Position>>>,
    /// The database's clock, under the lock.
    pub recorded_at: DateTime<Utc>,
}

const APPEND: &str = "select group_index, event_index, event_position, recorded from log.append(\
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";

type Row = (i32, Option<i32>, Option<i64>, DateTime<Utc>);

/// Appends the groups in one statement, which is its own transaction unless one is open.
pub(crate) async fn append(
    connection: &mut PgConnection,
    topic: &str,
    groups: &[Group<'_>],
) -> Result<Appended, sqlx::Error> {
    let columns = Columns::of(groups);
    let mut rows: Vec<Row> = sqlx::query_as(APPEND)
        .bind(topic)
        .bind(&columns.group_partition)
        .bind(&columns.group_stream_id)
        .bind(&columns.group_expected)
        .bind(&columns.key_group)
        .bind(&columns.key)
        .bind(&columns.group)
        .bind(&columns.version)
        .bind(&columns.event_id)
        .bind(&columns.schema_id)
        .bind(&columns.payload)
        .bind(&columns.correlation_id)
        .bind(&columns.causation_id)
        .bind(&columns.actor)
        .bind(&columns.traceparent)
        .bind(&columns.command_key)
        .bind(&columns.fingerprint)
        .bind(&columns.occurred_at)
        .fetch_all(connection)
        .await?;
    rows.sort_unstable_by_key(|row| row.1);
    Ok(places(groups.len(), &rows))
}

fn places(groups: usize, rows: &[Row]) -> Appended {
    let mut positions: Vec<Option<Vec<Position>>> = vec![None; groups];
    let mut recorded_at = DateTime::UNIX_EPOCH;
    for (group, _, position, recorded) in rows {
        recorded_at = *recorded;
        let index = usize::try_from(*group - 1).unwrap_or(usize::MAX);
        if let Some(slot) = positions.get_mut(index) {
            slot.get_or_insert_default().extend(position.map(Position));
        }
    }
    Appended { positions, recorded_at }
}

/// One array a column: the server unnests them side by side. (A subscript inside SQL is linear in
/// the array's length, which would make a batch quadratic.)
#[derive(Default)]
struct Columns<'a> {
    group_partition: Vec<i32>,
    group_stream_id: Vec<&'a str>,
    group_expected: Vec<i64>,
    key_group: Vec<i32>,
    key: Vec<Uuid>,
    group: Vec<i32>,
    version: Vec<i64>,
    event_id: Vec<Uuid>,
    schema_id: Vec<i16>,
    payload: Vec<&'a [u8]>,
    correlation_id: Vec<Uuid>,
    causation_id: Vec<Uuid>,
    actor: Vec<Option<&'a str>>,
    traceparent: Vec<Option<&'a str>>,
    command_key: Vec<Option<Uuid>>,
    fingerprint: Vec<Option<&'a [u8]>>,
    occurred_at: Vec<DateTime<Utc>>,
}

impl<'a> Columns<'a> {
    fn of(groups: &'a [Group<'a>]) -> Self {
        let mut columns = Self::default();
        for (ordinal, group) in (1..).zip(groups) {
            columns.group_partition.push(group.partition);
            columns.group_stream_id.push(group.stream_id.as_str());
            columns.group_expected.push(group.expected.0);
            for key in &group.keys {
                columns.key_group.push(ordinal);
                columns.key.push(*key);
            }
            for (version, event) in (group.expected.next().0..).zip(&group.events) {
                columns.push(ordinal, version, event);
            }
        }
        columns
    }

    fn push(&mut self, group: i32, version: i64, event: &NewEvent<'a>) {
        self.group.push(group);
        self.version.push(version);
        self.event_id.push(event.event_id);
        self.schema_id.push(event.schema_id);
        self.payload.push(event.payload);
        self.correlation_id.push(event.correlation_id);
        self.causation_id.push(event.causation_id);
        self.actor.push(event.actor);
        self.traceparent.push(event.traceparent);
        self.command_key.push(event.command.map(|(key, _)| key));
        self.fingerprint.push(event.command.map(|(_, fingerprint)| fingerprint.as_slice()));
        self.occurred_at.push(event.occurred_at);
    }
}
