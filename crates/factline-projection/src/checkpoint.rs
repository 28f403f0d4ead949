//! The checkpoint row of each partition: made at the first assignment, moved by compare-and-set.

use chrono::{DateTime, Utc};
use factline_core::Position;
use factline_kafka::{AssignedPartition, PartitionId};
use sqlx::{PgConnection, PgPool};

/// A partition's checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) id: PartitionId,
    pub(crate) position: Position,
    pub(crate) next_offset: Option<i64>,
    /// Of the topic, when the row was made.
    pub(crate) partitions: i32,
    /// How many processes have ended with the batch behind it in hand.
    pub(crate) deaths: u32,
}

/// How far one partition moves by a batch.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub(crate) id: PartitionId,
    pub(crate) epoch: u64,
    /// The checkpoint that the transaction must find.
    pub(crate) expected: Position,
    /// The checkpoint that it leaves.
    pub(crate) position: Position,
    /// `None`: no record of Kafka was dealt with, only events of the log.
    pub(crate) next_offset: Option<i64>,
    /// Of the newest event.
    pub(crate) recorded_at: Option<DateTime<Utc>>,
    /// Of the oldest event.
    pub(crate) oldest_recorded_at: Option<DateTime<Utc>>,
    /// How many records of Kafka were dealt with.
    pub(crate) records: usize,
}

const READ: &str = "
    select c.topic, c.partition, c.position, c.next_offset, c.partitions, coalesce(a.attempts, 0)
    from projection.checkpoints c
    join unnest($2::text[], $3::int[]) w (topic, partition) using (topic, partition)
    left join projection.attempts a using (projection, topic, partition, position)
    where c.projection = $1";

const MAKE: &str = "
    insert into projection.checkpoints (projection, topic, partition, partitions)
    select $1, w.topic, w.partition, w.partitions
    from unnest($2::text[], $3::int[], $4::int[]) w (topic, partition, partitions)
    order by 1, 2, 3
    on conflict do nothing";

/// Rows whose position is not the expected one are not updated, and then nothing may be.
const MOVE: &str = "
    update projection.checkpoints c
    set position = n.position,
        next_offset = coalesce(n.next_offset, c.next_offset),
        recorded_at = coalesce(n.recorded_at, c.recorded_at),
        updated_at = now()
    from unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::timestamptz[])
        n (topic, partition, expected, position, next_offset, recorded_at)
    where c.projection = $1 and c.topic = n.topic and c.partition = n.partition
      and c.position = n.expected";

type Row = (String, i32, i64, Option<i64>, i32, i32);

/// Reads the checkpoints of partitions; those without one are left out.
pub(crate) async fn read(
    pool: &PgPool,
    projection: &str,
    ids: impl Iterator<Item = PartitionId>,
) -> Result<Vec<Checkpoint>, sqlx::Error> {
    let (topics, partitions): (Vec<_>, Vec<_>) =
        ids.map(|id| (id.topic.to_string(), id.partition)).unzip();
    let rows: Vec<Row> =
        sqlx::query_as(READ).bind(projection).bind(topics).bind(partitions).fetch_all(pool).await?;
    let checkpoint =
        |(topic, partition, position, next_offset, partitions, attempts): Row| Checkpoint {
            id: PartitionId { topic: topic.into(), partition },
            position: Position(position),
            next_offset,
            partitions,
            deaths: u32::try_from(attempts).unwrap_or(0),
        };
    Ok(rows.into_iter().map(checkpoint).collect())
}

/// Makes the checkpoints of partitions that were never read.
pub(crate) async fn make(
    pool: &PgPool,
    projection: &str,
    new: &[&AssignedPartition],
) -> Result<(), sqlx::Error> {
    sqlx::query(MAKE)
        .bind(projection)
        .bind(new.iter().map(|one| one.id.topic.to_string()).collect::<Vec<_>>())
        .bind(new.iter().map(|one| one.id.partition).collect::<Vec<_>>())
        .bind(new.iter().map(|one| one.partitions).collect::<Vec<_>>())
        .execute(pool)
        .await?;
    Ok(())
}

/// Moves the checkpoints of a batch; false when one of them was not where it was expected: another
/// owner has moved it, and the caller rolls back.
pub(crate) async fn advance(
    tx: &mut PgConnection,
    projection: &str,
    slices: &[Slice],
) -> Result<bool, sqlx::Error> {
    let mut slices: Vec<&Slice> = slices.iter().collect();
    slices.sort_by(|one, other| one.id.cmp(&other.id)); // two owners lock in one order
    let moved = sqlx::query(MOVE)
        .bind(projection)
        .bind(slices.iter().map(|slice| slice.id.topic.to_string()).collect::<Vec<_>>())
        .bind(slices.iter().map(|slice| slice.id.partition).collect::<Vec<_>>())
        .bind(slices.iter().map(|slice| slice.expected.0).collect::<Vec<_>>())
        .bind(slices.iter().map(|slice| slice.position.0).collect::<Vec<_>>())
        .bind(slices.iter().map(|slice| slice.next_offset).collect::<Vec<_>>())
        .bind(slices.iter().map(|slice| slice.recorded_at).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(moved.rows_affected() == u64::try_from(slices.len()).unwrap_or(u64::MAX))
}
