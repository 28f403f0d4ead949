//! The promises of this crate that a broken build breaks; see [`factline_failpoints::is_broken`]. In
//! every other build nothing of it is left.

use factline_failpoints::{is_broken, part_steps};
use sqlx::PgConnection;

use crate::{
    append::{Head, MOVE_MANY, NewRow},
    connection::LaneConnection,
};

/// Positions are taken in a transaction of their own, as from a sequence: without the lock until the
/// events are committed.
pub(crate) const POSITION_FROM_SEQUENCE: &str = "position_from_sequence";
/// Callers are answered before the append is committed.
const ACKNOWLEDGE_BEFORE_COMMIT: &str = "acknowledge_before_commit";

/// The append becomes part of a transaction that [`commit_late`] ends.
pub(crate) async fn begin_early(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    if is_broken(ACKNOWLEDGE_BEFORE_COMMIT) {
        sqlx::raw_sql("begin").execute(connection).await?;
    }
    Ok(())
}

/// Commits what callers were told of already.
pub(crate) async fn commit_late(connection: &mut LaneConnection) {
    if !is_broken(ACKNOWLEDGE_BEFORE_COMMIT) {
        return;
    }
    part_steps().await;
    let committed = match connection.get().await {
        Ok(open) => sqlx::raw_sql("commit").execute(open).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = committed {
        tracing::warn!(%error, "what was acknowledged is not committed, as it was to be");
        connection.discard().await;
    }
}

/// Inserts behind heads that were moved, and left again, before.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    topic: &str,
    partitions: &[i32],
    counts: &[i64],
    new_rows: Vec<NewRow<'_>>,
) -> Result<Vec<Head>, sqlx::Error> {
    let take = [MOVE_MANY, "select partition, head, recorded_at from moved"].concat();
    let take = sqlx::query_as(sqlx::AssertSqlSafe(take)).bind(topic).bind(partitions);
    let moved: Vec<Head> = take.bind(counts).fetch_all(&mut *connection).await?;
    part_steps().await;
    const INSERT: &str = "
        insert into log.events (topic, partition, position, stream_id, version, event_id,
                schema_id, payload, correlation_id, causation_id, actor, traceparent, command_key,
                command_fingerprint, occurred_at, recorded_at)
        select $1, e.partition, moved.head + e.place, e.stream_id, e.version, e.event_id,
               e.schema_id, e.payload, e.correlation_id, e.causation_id, e.actor, e.traceparent,
               e.command_key, e.command_fingerprint, e.occurred_at, moved.recorded_at
        from unnest($4::log.new_event[]) e
        join unnest($2::int[], $3::bigint[], $5::timestamptz[]) moved (partition, head, recorded_at)
             on moved.partition = e.partition";
    let column = |head: &Head| (head.0, head.1);
    let (at, heads): (Vec<i32>, Vec<i64>) = moved.iter().map(column).unzip();
    let times: Vec<_> = moved.iter().map(|head| head.2).collect();
    let insert = sqlx::query(INSERT).bind(topic).bind(at).bind(heads).bind(new_rows).bind(times);
    insert.execute(connection).await?;
    Ok(moved)
}
