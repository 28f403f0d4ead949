//! `processed_events`: which events have had their effect, and whether a repeat is one.

use std::collections::HashSet;

use factline_core::{Envelope, Recorded};
use factline_kafka::Record;
use sqlx::PgConnection;
use uuid::Uuid;

/// Without `on conflict`, which would cost as much again as the insertion: an id that stands there
/// ends the transaction, and so it shall.
const ENTER: &str = "
    insert into projection.processed_events (projection, event_id)
    select $1, * from unnest($2::uuid[])";

const KNOWN: &str = "
    select event_id from projection.processed_events
    where projection = $1 and event_id = any($2)";

/// A parked event is known by its row: it has had no effect yet, but it is no fork either. Nor is one
/// that an operator has left out, or that is so old that its id is not kept.
const UNKNOWN_REPEAT: &str = "
    select r.topic, r.partition, r.position
    from unnest($2::uuid[], $3::text[], $4::int[], $5::bigint[])
        r (event_id, topic, partition, position)
    where r.event_id >= (select below from projection.forgotten) and not exists (
        select from projection.processed_events p
        where p.projection = $1 and p.event_id = r.event_id
    ) and not exists (
        select from projection.parked_events q
        where q.projection = $1 and q.topic = r.topic and q.partition = r.partition
          and q.position = r.position and q.event_id = r.event_id
    ) and not exists (
        select from projection.beginnings b
        where b.projection = $1 and b.topic = r.topic and b.partition = r.partition
          and r.position > b.was and r.position <= b.after
    )
    order by r.topic, r.partition, r.position
    limit 1";

/// Enters the events; false when one of them stood there before, and then the transaction can only be
/// rolled back.
pub(crate) async fn enter<E>(
    tx: &mut PgConnection,
    projection: &str,
    events: &[Recorded<E>],
) -> Result<bool, sqlx::Error> {
    if events.is_empty() {
        return Ok(true);
    }
    let ids: Vec<Uuid> = events.iter().map(|event| event.envelope.event_id).collect();
    match sqlx::query(ENTER).bind(projection).bind(ids).execute(tx).await {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Which of the events stand there already.
pub(crate) async fn known<E>(
    tx: &mut PgConnection,
    projection: &str,
    events: &[Recorded<E>],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let ids: Vec<Uuid> = events.iter().map(|event| event.envelope.event_id).collect();
    let rows: Vec<(Uuid,)> = sqlx::query_as(KNOWN).bind(projection).bind(ids).fetch_all(tx).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// The first repeat whose event id was never seen: at its position stands another event now.
pub(crate) async fn unknown_repeat(
    tx: &mut PgConnection,
    projection: &str,
    repeats: &[(Envelope, Record)],
) -> Result<Option<(String, i32, i64)>, sqlx::Error> {
    if repeats.is_empty() {
        return Ok(None);
    }
    let envelopes = || repeats.iter().map(|(envelope, _)| envelope);
    sqlx::query_as(UNKNOWN_REPEAT)
        .bind(projection)
        .bind(envelopes().map(|one| one.event_id).collect::<Vec<_>>())
        .bind(envelopes().map(|one| one.topic.to_string()).collect::<Vec<_>>())
        .bind(envelopes().map(|one| one.partition).collect::<Vec<_>>())
        .bind(envelopes().map(|one| one.position.0).collect::<Vec<_>>())
        .fetch_optional(tx)
        .await
}
