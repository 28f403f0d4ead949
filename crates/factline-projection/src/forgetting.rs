//! Forgets the ids of old events, so that `processed_events` stays as large as what comes in the time
//! that ids are kept.
//!
//! An event has its effect once because of the checkpoint; its id tells a repeat from a fork, for as long
//! as it is kept. Ids begin with the time at which they were made (UUIDv7), so whether one is kept needs no
//! row: everything below `projection.forgotten` counts as known. What a restored log writes anew is young,
//! wherever it stands, and is told from a repeat as before.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio::{sync::watch, time::sleep};
use tracing::{debug, warn};
use uuid::Uuid;

use crate::{Projection, shared::Shared};

/// Far more often than ids are kept for, so that each time little is to be done.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Ids that one transaction takes away: some 50 ms, and then the others have their turn.
const PAGE: i64 = 10_000;

/// Whoever holds the row takes ids away, for all projections of the database; the others let it.
const TAKE: &str = "
    select below, clock_timestamp() from projection.forgotten for update skip locked";

const RAISE: &str = "update projection.forgotten set below = $1";

/// Where a page ends that begins with the first id from `$1` on.
const PAGE_END: &str = "
    select event_id from projection.processed_events
    where event_id >= $1 and event_id < $2
    order by event_id offset $3 limit 1";

const DELETE: &str = "
    delete from projection.processed_events where event_id >= $1 and event_id < $2";

/// Forgets until told to stop.
pub(crate) async fn run<P: Projection>(shared: Arc<Shared<P>>, mut stop: watch::Receiver<bool>) {
    let kept = Duration::from_millis(shared.settings.processed_events_kept_ms);
    let mut failing = false;
    loop {
        let forgot = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return, // a page that is under way is rolled back
            forgot = forget(&shared.database, kept) => forgot,
        };
        match &forgot {
            Ok(ids) => debug!(projection = shared.name(), ids, "old ids are forgotten"),
            Err(error) if failing => {
                debug!(projection = shared.name(), %error, "old ids are still kept");
            }
            Err(error) => warn!(projection = shared.name(), %error, "old ids are kept for longer"),
        }
        failing = forgot.is_err();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

/// Forgets page by page, from the oldest id on; how many rows that were.
async fn forget(database: &PgPool, kept: Duration) -> Result<u64, sqlx::Error> {
    let (mut from, mut forgotten) = (Uuid::nil(), 0);
    loop {
        let mut tx = database.begin().await?;
        let taken: Option<(Uuid, DateTime<Utc>)> =
            sqlx::query_as(TAKE).fetch_optional(&mut *tx).await?;
        let Some((before, now)) = taken else { return Ok(forgotten) };
        let below = before.max(first_id_of(now, kept));
        if below > before {
            sqlx::query(RAISE).bind(below).execute(&mut *tx).await?;
        }
        let next: Option<Uuid> = sqlx::query_scalar(PAGE_END)
            .bind(from)
            .bind(below)
            .bind(PAGE)
            .fetch_optional(&mut *tx)
            .await?;
        let end = next.unwrap_or(below);
        let deleted = sqlx::query(DELETE).bind(from).bind(end).execute(&mut *tx).await?;
        tx.commit().await?;
        forgotten += deleted.rows_affected();
        if next.is_none() {
            return Ok(forgotten);
        }
        from = end;
    }
}

/// The lowest id that can have been made so long before now.
fn first_id_of(now: DateTime<Utc>, ago: Duration) -> Uuid {
    let now = u128::try_from(now.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(now.saturating_sub(ago.as_millis()) << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_made_before_the_moment_are_below_it_and_others_are_not() {
        let made_at = |millis: u32| {
            let time = uuid::Timestamp::from_unix_time(1_795_999_990, millis * 1_000_000, 0, 0);
            Uuid::new_v7(time)
        };
        let now = DateTime::from_timestamp_millis(1_796_000_000_123).unwrap();
        let first = first_id_of(now, Duration::from_secs(10));
        assert!(made_at(122) < first && made_at(123) > first);
        assert_eq!(first_id_of(now, Duration::MAX), Uuid::nil(), "kept for ever");
    }
}
