//! A checkpoint as a projector leaves it, for tests of what reads views and projects nothing.

use factline_core::Envelope;
use sqlx::PgConnection;

/// Moves a projection's checkpoint to an event's position. `partitions`: of its topic.
pub async fn stand_at(
    connection: &mut PgConnection,
    projection: &str,
    envelope: &Envelope,
    partitions: i32,
) {
    sqlx::query(
        "insert into projection.checkpoints
             (projection, topic, partition, position, partitions, recorded_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (projection, topic, partition)
             do update set position = excluded.position, recorded_at = excluded.recorded_at",
    )
    .bind(projection)
    .bind(&*envelope.topic)
    .bind(envelope.partition)
    .bind(envelope.position.0)
    .bind(partitions)
    .bind(envelope.recorded_at)
    .execute(connection)
    .await
    .unwrap();
}
