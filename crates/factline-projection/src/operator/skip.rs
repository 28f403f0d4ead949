//! Skip: the first parked event of a stream is passed over, for a reason.

use sqlx::PgConnection;

use super::{Setback, reopen::cause, stream};
use crate::{
    acts::{Act, Outcome},
    inspect::ParkedEvent,
    park::{STREAM_PARKED, fingerprint},
};

/// The event that is skipped and the one behind it.
const FRONT: i64 = 2;
/// Why the rest of the stream still stands.
const WAITS: &str = "an earlier event was skipped; the stream waits for a retry";

/// It counts as processed, so that a repeat of it is recognised and is no fork.
const PROCESSED: &str = "
    insert into projection.processed_events (projection, event_id) values ($1, $2)
    on conflict do nothing";

const NEXT: &str = "
    update projection.parked_streams
    set code = $4, detail = $5, fingerprint = $6, first_position = $7
    where projection = $1 and topic = $2 and stream_id = $3";

/// Passes over the event at `position`, if it is the first; order matters.
pub(super) async fn skip(
    tx: &mut PgConnection,
    act: &Act,
    position: i64,
) -> Result<Outcome, Setback> {
    stream::hold(tx, act, FRONT).await?;
    let rows = stream::front(&mut *tx, act, FRONT).await?;
    let Some(first) = rows.first() else {
        return Err(Setback::Refused(format!("no event of {} is parked", act.stream_id)));
    };
    if first.position != position {
        let first = first.position;
        let why = format!("only the first parked event can be skipped: position {first}");
        return Err(Setback::Refused(why));
    }
    sqlx::query(PROCESSED).bind(&act.projection).bind(first.event_id).execute(&mut *tx).await?;
    let still_parked = stream::remove(tx, act, &rows[..1]).await?;
    match rows.get(1) {
        Some(next) => stand_at(tx, act, next).await?,
        None => stream::set_free(tx, act).await?,
    }
    let skipped = Some(cause(first, &first.code, first.detail.clone()));
    Ok(Outcome { still_parked, skipped, ..Outcome::default() })
}

async fn stand_at(tx: &mut PgConnection, act: &Act, next: &ParkedEvent) -> Result<(), sqlx::Error> {
    let detail = if next.code == STREAM_PARKED { WAITS } else { &next.detail };
    sqlx::query(NEXT)
        .bind(&act.projection)
        .bind(&act.topic)
        .bind(&act.stream_id)
        .bind(&next.code)
        .bind(detail)
        .bind(fingerprint(&next.code, &next.event_type, detail))
        .bind(next.position)
        .execute(tx)
        .await?;
    Ok(())
}
