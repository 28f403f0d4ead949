//! One call of `log.append`: arrays in, places out.

use std::collections::{HashMap, HashSet};

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
    /// The keys of its commands without events. Those of the others are on their first events.
    pub idle_keys: Vec<Uuid>,
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

/// Whether an append looks up, before it inserts, if a stream has moved or a key is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// The groups that do not fit are left out.
    First,
    /// The unique indexes tell: one group that does not fit fails them all, and nothing is written.
    Never,
}

/// The recorded time; the partitions and their heads before; the ordinals that were left out.
type Row = (DateTime<Utc>, Option<Vec<i32>>, Option<Vec<i64>>, Vec<i32>);

/// Appends the groups in one statement, which is its own transaction unless one is open.
pub(crate) async fn append(
    connection: &mut PgConnection,
    topic: &str,
    groups: &[Group<'_>],
    probe: Probe,
) -> Result<Appended, sqlx::Error> {
    const APPEND: &str = "select recorded, partitions, positions, refused from log.append(\
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";
    let columns = Columns::of(groups);
    let row: Row = sqlx::query_as(APPEND)
        .bind(topic)
        .bind(probe == Probe::First)
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
        .fetch_one(connection)
        .await?;
    Ok(places(groups, row))
}

/// Positions go on from the heads, in the order of the groups.
fn places(groups: &[Group<'_>], row: Row) -> Appended {
    let (recorded_at, partitions, heads, refused) = row;
    let mut heads: HashMap<i32, i64> =
        partitions.into_iter().flatten().zip(heads.into_iter().flatten()).collect();
    let refused: HashSet<i32> = refused.into_iter().collect();
    let place = |(ordinal, group): (i32, &Group<'_>)| {
        let head = heads.get_mut(&group.partition).filter(|_| !refused.contains(&ordinal))?;
        let positions = group.events.iter().map(|_| {
            *head += 1;
            Position(*head)
        });
        Some(positions.collect())
    };
    Appended { positions: (1..).zip(groups).map(place).collect(), recorded_at }
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
        let mut columns = Self::for_events(groups.iter().map(|group| group.events.len()).sum());
        for (ordinal, group) in (1..).zip(groups) {
            columns.group_partition.push(group.partition);
            columns.group_stream_id.push(group.stream_id.as_str());
            columns.group_expected.push(group.expected.0);
            for key in &group.idle_keys {
                columns.key_group.push(ordinal);
                columns.key.push(*key);
            }
            for (version, event) in (group.expected.next().0..).zip(&group.events) {
                columns.push(ordinal, version, event);
            }
        }
        columns
    }

    fn for_events(count: usize) -> Self {
        Self {
            group: Vec::with_capacity(count),
            version: Vec::with_capacity(count),
            event_id: Vec::with_capacity(count),
            schema_id: Vec::with_capacity(count),
            payload: Vec::with_capacity(count),
            correlation_id: Vec::with_capacity(count),
            causation_id: Vec::with_capacity(count),
            actor: Vec::with_capacity(count),
            traceparent: Vec::with_capacity(count),
            command_key: Vec::with_capacity(count),
            fingerprint: Vec::with_capacity(count),
            occurred_at: Vec::with_capacity(count),
            ..Self::default()
        }
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
