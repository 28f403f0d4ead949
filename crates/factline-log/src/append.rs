//! Appending groups of events: one statement inserts them, and what no index would notice is looked
//! up before it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::LazyLock,
};

use chrono::{DateTime, Utc};
use factline_core::{Position, StreamId, Version};
use factline_failpoints::is_broken;
use sqlx::{
    Connection, Encode, PgConnection, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, types::PgRecordEncoder},
};
use uuid::Uuid;

use crate::{Fingerprint, broken};

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

/// Where an append put a group.
pub(crate) struct Taken {
    /// Of its events, in order.
    pub positions: Vec<Position>,
    /// The database's clock, under the partition's lock; the epoch when nothing was inserted.
    pub recorded_at: DateTime<Utc>,
}

/// One for each group; none for a group that was not taken.
pub(crate) type Appended = Vec<Option<Taken>>;

/// Whether an append looks up, before it inserts, if a stream has moved or a key is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// The groups that do not fit are left out.
    First,
    /// The unique indexes tell: one group that does not fit fails them all, and nothing is written.
    Never,
}

/// Appends the groups. Those that no index speaks for, because a command of theirs inserts nothing,
/// are looked up in any case. Without a look it is one statement; on a connection that is in a
/// transaction it becomes part of that.
pub(crate) async fn append(
    connection: &mut PgConnection,
    topic: &str,
    groups: &[Group<'_>],
    probe: Probe,
) -> Result<Appended, sqlx::Error> {
    let looks = |group: &Group<'_>| probe == Probe::First || !group.idle_keys.is_empty();
    if !groups.iter().any(looks) {
        return insert(connection, topic, groups, &HashSet::new()).await;
    }
    let mut tx = connection.begin().await?;
    let refused = look(&mut tx, topic, groups, probe).await?;
    let appended = insert(&mut tx, topic, groups, &refused).await?;
    if appended.iter().flatten().all(|taken| taken.positions.is_empty()) {
        tx.rollback().await?; // nothing was written: a commit would flush the locks to disk
    } else {
        tx.commit().await?;
    }
    Ok(appended)
}

/// Which of the groups do not fit, by their place. From here on nothing of their partitions moves.
async fn look(
    tx: &mut PgConnection,
    topic: &str,
    groups: &[Group<'_>],
    probe: Probe,
) -> Result<HashSet<usize>, sqlx::Error> {
    const LOOK: &str = "select log.look($1, $2, $3, $4, $5, $6, $7)";
    let partitions: Vec<i32> = groups.iter().map(|group| group.partition).collect();
    let mut looked = Vec::new();
    let (mut at, mut stream_ids, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    let (mut key_group, mut keys) = (Vec::new(), Vec::new());
    for (index, group) in groups.iter().enumerate() {
        if probe == Probe::Never && group.idle_keys.is_empty() {
            continue;
        }
        looked.push(index);
        at.push(group.partition);
        stream_ids.push(group.stream_id.as_str());
        expected.push(group.expected.0);
        let written = group.events.iter().filter_map(|event| event.command.map(|(key, _)| key));
        let written = written.filter(|_| probe == Probe::First);
        for key in group.idle_keys.iter().copied().chain(written) {
            key_group.push(i32::try_from(looked.len()).unwrap_or(i32::MAX));
            keys.push(key);
        }
    }
    let (refused,): (Vec<i32>,) = sqlx::query_as(LOOK)
        .bind(topic)
        .bind(partitions)
        .bind(at)
        .bind(stream_ids)
        .bind(expected)
        .bind(key_group)
        .bind(keys)
        .fetch_one(tx)
        .await?;
    let place = |ordinal: i32| looked.get(usize::try_from(ordinal - 1).ok()?).copied();
    Ok(refused.into_iter().filter_map(place).collect())
}

/// Moves the head of one partition: the update is the lock.
const MOVE_ONE: &str = "
    with moved as (
        update log.heads set position = position + ($3::bigint[])[1]
        where topic = $1 and partition = ($2::int[])[1]
        returning partition, position - ($3::bigint[])[1] as head, clock_timestamp() as recorded_at
    )";

/// Moves the heads of several partitions, locked always in the same order, so that two batches never
/// wait for each other.
pub(crate) const MOVE_MANY: &str = "
    with locked as (
        select partition, position from log.heads
        where topic = $1 and partition = any ($2::int[])
        order by partition
        for update
    ), moved as (
        update log.heads h set position = locked.position + n.events
        from locked join unnest($2::int[], $3::bigint[]) n (partition, events)
             on n.partition = locked.partition
        where h.topic = $1 and h.partition = locked.partition
        returning h.partition, locked.position as head, clock_timestamp() as recorded_at
    )";

/// Inserts behind the heads as they were. The clock was read under each head's lock, so that a
/// partition's times rise with its positions.
const INSERT: &str = "
    , inserted as (
        insert into log.events (topic, partition, position, stream_id, version, event_id,
                schema_id, payload, correlation_id, causation_id, actor, traceparent, command_key,
                command_fingerprint, occurred_at, recorded_at)
        select $1, e.partition, moved.head + e.place, e.stream_id, e.version, e.event_id,
               e.schema_id, e.payload, e.correlation_id, e.causation_id, e.actor, e.traceparent,
               e.command_key, e.command_fingerprint, e.occurred_at, moved.recorded_at
        from unnest($4::log.new_event[]) e join moved on moved.partition = e.partition
    )
    select partition, head, recorded_at from moved";

static APPEND_TO_ONE: LazyLock<String> = LazyLock::new(|| [MOVE_ONE, INSERT].concat());
static APPEND_TO_MANY: LazyLock<String> = LazyLock::new(|| [MOVE_MANY, INSERT].concat());

/// Inserts the events of all groups but the refused ones, in one statement: a transaction of its own
/// unless one is open.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    topic: &str,
    groups: &[Group<'_>],
    refused: &HashSet<usize>,
) -> Result<Appended, sqlx::Error> {
    let taken = groups.iter().enumerate().filter(|(index, _)| !refused.contains(index));
    let mut taken: Vec<&Group<'_>> = taken.map(|(_, group)| group).collect();
    taken.sort_by_key(|group| group.partition); // neighbours in the index, and so in the statement
    let (new_rows, counts) = rows_of(&taken);
    let moved: Vec<Head> = if new_rows.is_empty() {
        Vec::new()
    } else {
        let (partitions, counts): (Vec<i32>, Vec<i64>) = counts.into_iter().unzip();
        let append = if partitions.len() == 1 { &APPEND_TO_ONE } else { &APPEND_TO_MANY };
        if is_broken(broken::POSITION_FROM_SEQUENCE) {
            let moved = broken::insert(connection, topic, &partitions, &counts, new_rows).await?;
            return Ok(places(groups, refused, moved));
        }
        let append = sqlx::query_as(append.as_str()).bind(topic).bind(partitions).bind(counts);
        append.bind(new_rows).fetch_all(connection).await?
    };
    Ok(places(groups, refused, moved))
}

/// A partition, its last position before the append, and the clock under its lock.
pub(crate) type Head = (i32, i64, DateTime<Utc>);

/// Positions go on from the heads, in the order of the groups. Where there is no head, nothing was
/// inserted.
fn places(groups: &[Group<'_>], refused: &HashSet<usize>, moved: Vec<Head>) -> Appended {
    let mut heads: BTreeMap<i32, (i64, DateTime<Utc>)> =
        moved.into_iter().map(|(partition, head, at)| (partition, (head, at))).collect();
    let place = |(index, group): (usize, &Group<'_>)| {
        if refused.contains(&index) {
            return None;
        }
        if group.events.is_empty() {
            return Some(Taken { positions: Vec::new(), recorded_at: DateTime::UNIX_EPOCH });
        }
        let (head, recorded_at) = heads.get_mut(&group.partition)?;
        let positions = group.events.iter().map(|_| {
            *head += 1;
            Position(*head)
        });
        Some(Taken { positions: positions.collect(), recorded_at: *recorded_at })
    };
    groups.iter().enumerate().map(place).collect()
}

/// The rows of the groups, and how many go to each partition.
fn rows_of<'a>(groups: &[&'a Group<'a>]) -> (Vec<NewRow<'a>>, BTreeMap<i32, i64>) {
    let mut rows = Vec::with_capacity(groups.iter().map(|group| group.events.len()).sum());
    let mut counts: BTreeMap<i32, i64> = BTreeMap::new();
    for group in groups {
        for (version, event) in (group.expected.next().0..).zip(&group.events) {
            let count = counts.entry(group.partition).or_default();
            *count += 1;
            rows.push(NewRow { group, place: *count, version, event });
        }
    }
    (rows, counts)
}

/// A `log.new_event`. Rows travel as one array: each array of its own, one a column, would be a
/// function for the server to call, and its elements a table to keep.
pub(crate) struct NewRow<'a> {
    group: &'a Group<'a>,
    /// From 1 within the partition.
    place: i64,
    version: i64,
    event: &'a NewEvent<'a>,
}

impl Type<Postgres> for NewRow<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("log.new_event")
    }
}

impl PgHasArrayType for NewRow<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::array_of("log.new_event")
    }
}

impl Encode<'_, Postgres> for NewRow<'_> {
    /// The members in the order of the type's.
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let event = self.event;
        let mut record = PgRecordEncoder::new(buffer);
        record
            .encode(self.group.partition)?
            .encode(self.place)?
            .encode(self.group.stream_id.as_str())?
            .encode(self.version)?
            .encode(event.event_id)?
            .encode(event.schema_id)?
            .encode(event.payload)?
            .encode(event.correlation_id)?
            .encode(event.causation_id)?
            .encode(event.actor)?
            .encode(event.traceparent)?
            .encode(event.command.map(|(key, _)| key))?
            .encode(event.command.map(|(_, fingerprint)| fingerprint.as_slice()))?
            .encode(event.occurred_at)?;
        record.finish();
        Ok(IsNull::No)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(stream_id: &StreamId, partition: i32, events: usize) -> Group<'_> {
        let event = || NewEvent {
            event_id: Uuid::nil(),
            schema_id: 1,
            payload: &[],
            correlation_id: Uuid::nil(),
            causation_id: Uuid::nil(),
            actor: None,
            traceparent: None,
            command: None,
            occurred_at: DateTime::UNIX_EPOCH,
        };
        let events = (0..events).map(|_| event()).collect();
        Group { partition, stream_id, expected: Version::ZERO, idle_keys: Vec::new(), events }
    }

    #[test]
    fn positions_go_on_from_the_heads_and_where_there_is_none_nothing_was_taken() {
        let id = StreamId::parse("p").unwrap();
        let groups = [(0, 2), (1, 1), (0, 1), (2, 1), (2, 0), (0, 1)];
        let groups = groups.map(|(partition, events)| group(&id, partition, events));
        let at = DateTime::UNIX_EPOCH;
        let placed = places(&groups, &HashSet::from([2]), vec![(0, 7, at), (1, 0, at)]);
        let positions = placed.into_iter().map(|taken| taken.map(|taken| taken.positions));
        let expected = [Some(&[8, 9][..]), Some(&[1]), None, None, Some(&[]), Some(&[10])];
        let expected =
            expected.map(|all| all.map(|all| all.iter().copied().map(Position).collect()));
        assert_eq!(positions.collect::<Vec<_>>(), expected);
    }
}
