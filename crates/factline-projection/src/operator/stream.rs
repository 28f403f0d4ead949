//! A parked stream in the hands of an act: held, read from its front, shortened, set free.

use factline_core::partition_for;
use sqlx::PgConnection;

use super::Setback;
use crate::{acts::Act, inspect::ParkedEvent};

/// How many events one transaction takes. A stream rarely has more; 200 of the largest are 50 MB.
pub(super) const PAGE: i64 = 200;

/// The export holds rows while it sends them. They are waited for before the partition is held, so
/// that a slow broker does not hold up live events.
const LOCK_FRONT: &str = "
    select position from projection.parked_events
    where projection = $1 and topic = $2 and stream_id = $3
    order by version, position limit $4 for update";

const LOCK_STREAM: &str = "
    select stream_id from projection.parked_streams
    where projection = $1 and topic = $2 and stream_id = $3 for update";

/// A record in the wrong partition is parked there, beside those of the stream's own.
const PARTITIONS: &str = "
    select distinct partition from projection.parked_events
    where projection = $1 and topic = $2 and stream_id = $3 order by partition";

const COUNT_PARTITIONS: &str =
    "select max(partitions) from projection.checkpoints where projection = $1 and topic = $2";

const LOCK_CHECKPOINTS: &str = "
    select partition from projection.checkpoints
    where projection = $1 and topic = $2 and partition = any($3)
    order by partition for update";

const FRONT: &str = "
    select * from projection.parked_events
    where projection = $1 and topic = $2 and stream_id = $3
    order by version, position limit $4";

const REMOVE: &str = "
    delete from projection.parked_events e
    using unnest($3::int[], $4::bigint[]) k (partition, position)
    where e.projection = $1 and e.topic = $2 and e.partition = k.partition
      and e.position = k.position";

const COUNT: &str = "
    select count(*) from projection.parked_events
    where projection = $1 and topic = $2 and stream_id = $3";

const SET_FREE: &str = "
    delete from projection.parked_streams
    where projection = $1 and topic = $2 and stream_id = $3";

/// Holds the stream and its partitions until the transaction ends: no live event of them is applied
/// or parked meanwhile. Answers how many partitions the topic has.
pub(super) async fn hold(tx: &mut PgConnection, act: &Act, front: i64) -> Result<i32, Setback> {
    let Act { projection, topic, stream_id, .. } = act;
    sqlx::query(LOCK_FRONT)
        .bind(projection)
        .bind(topic)
        .bind(stream_id)
        .bind(front)
        .execute(&mut *tx)
        .await?;
    let count = count_partitions(&mut *tx, act).await?.ok_or_else(|| not_parked(act))?;
    let mut held = partitions(tx, act).await?;
    held.push(partition_for(stream_id, count)); // where its live events come
    sqlx::query(LOCK_CHECKPOINTS)
        .bind(projection)
        .bind(topic)
        .bind(&held)
        .execute(&mut *tx)
        .await?;
    let parked: Option<String> = sqlx::query_scalar(LOCK_STREAM)
        .bind(projection)
        .bind(topic)
        .bind(stream_id)
        .fetch_optional(&mut *tx)
        .await?;
    parked.ok_or_else(|| not_parked(act))?;
    let now = partitions(tx, act).await?;
    if now.iter().all(|partition| held.contains(partition)) {
        return Ok(count);
    }
    Err(Setback::Wait("an event of another partition joined the stream just now".into()))
}

/// How many partitions the topic has; `None` when the projection has never read it.
pub(super) async fn count_partitions(
    connection: impl sqlx::PgExecutor<'_>,
    act: &Act,
) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar(COUNT_PARTITIONS)
        .bind(&act.projection)
        .bind(&act.topic)
        .fetch_one(connection)
        .await
}

fn not_parked(act: &Act) -> Setback {
    Setback::Refused(format!("{} is not parked", act.stream_id))
}

async fn partitions(tx: &mut PgConnection, act: &Act) -> Result<Vec<i32>, sqlx::Error> {
    sqlx::query_scalar(PARTITIONS)
        .bind(&act.projection)
        .bind(&act.topic)
        .bind(&act.stream_id)
        .fetch_all(tx)
        .await
}

/// The first parked events of the stream, in its order.
pub(super) async fn front(
    connection: impl sqlx::PgExecutor<'_>,
    act: &Act,
    limit: i64,
) -> Result<Vec<ParkedEvent>, sqlx::Error> {
    sqlx::query_as(FRONT)
        .bind(&act.projection)
        .bind(&act.topic)
        .bind(&act.stream_id)
        .bind(limit)
        .fetch_all(connection)
        .await
}

/// Removes events; answers how many of the stream are left.
pub(super) async fn remove(
    tx: &mut PgConnection,
    act: &Act,
    rows: &[ParkedEvent],
) -> Result<i64, sqlx::Error> {
    sqlx::query(REMOVE)
        .bind(&act.projection)
        .bind(&act.topic)
        .bind(rows.iter().map(|row| row.partition).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.position).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
    sqlx::query_scalar(COUNT)
        .bind(&act.projection)
        .bind(&act.topic)
        .bind(&act.stream_id)
        .fetch_one(tx)
        .await
}

/// The stream is live again.
pub(super) async fn set_free(tx: &mut PgConnection, act: &Act) -> Result<(), sqlx::Error> {
    sqlx::query(SET_FREE)
        .bind(&act.projection)
        .bind(&act.topic)
        .bind(&act.stream_id)
        .execute(tx)
        .await?;
    Ok(())
}
