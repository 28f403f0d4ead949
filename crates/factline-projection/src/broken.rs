//! The promises of this crate that a broken build breaks; see [`factline_failpoints::is_broken`]. In
//! every other build nothing of it is left.

use factline_core::Recorded;
use factline_failpoints::{is_broken, part_steps};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Projection,
    batch::Job,
    checkpoint::{self, Slice},
    transaction::Setback,
};

/// The checkpoint is committed before the effect, not with it.
pub(crate) const OFFSET_BEFORE_COMMIT: &str = "offset_before_commit";
/// The checkpoint moves from wherever it is, and events enter the ledger again.
pub(crate) const NO_COMPARE_AND_SET: &str = "no_compare_and_set";
/// What follows a poisoned event in its stream is applied.
pub(crate) const PARK_ONE_EVENT_ONLY: &str = "park_one_event_only";
/// A partition is taken up at its end, and what lies between is jumped over.
pub(crate) const RESET_TO_LATEST: &str = "reset_to_latest";
/// A view's rows are written beside the transaction.
pub(crate) const PLAIN_POOL_WRITE: &str = "plain_pool_write";

/// Does outside the transaction what a broken build does not do in it.
pub(crate) async fn outside<P: Projection>(
    connection: &mut PgConnection,
    projection: &P,
    job: &Job<P::Event>,
) -> Result<(), Setback> {
    if is_broken(NO_COMPARE_AND_SET) {
        part_steps().await; // with the batch in hand
        expect(connection, projection.name(), &job.batch.slices).await?;
    }
    if is_broken(OFFSET_BEFORE_COMMIT) {
        if !checkpoint::advance(connection, projection.name(), &job.batch.slices).await? {
            return Err(Setback::Refused);
        }
        part_steps().await;
    }
    if is_broken(PLAIN_POOL_WRITE) && !job.batch.events.is_empty() {
        let applied = projection.apply(connection, &job.batch.events).await;
        applied.map_err(Setback::Apply)?;
        part_steps().await;
    }
    Ok(())
}

/// Enters events that may stand there before.
pub(crate) async fn enter_again<E>(
    tx: &mut PgConnection,
    projection: &str,
    events: &[Recorded<E>],
) -> Result<(), sqlx::Error> {
    const ENTER: &str = "insert into projection.processed_events (projection, event_id)
        select $1, * from unnest($2::uuid[]) on conflict do nothing";
    let ids: Vec<Uuid> = events.iter().map(|event| event.envelope.event_id).collect();
    sqlx::query(ENTER).bind(projection).bind(ids).execute(tx).await?;
    Ok(())
}

/// Makes the checkpoints what the batch expects to find: any comparison with them holds then.
async fn expect(
    connection: &mut PgConnection,
    projection: &str,
    slices: &[Slice],
) -> Result<(), sqlx::Error> {
    for slice in slices {
        const EXPECT: &str = "update projection.checkpoints set position = $4
            where projection = $1 and topic = $2 and partition = $3";
        sqlx::query(EXPECT)
            .bind(projection)
            .bind(&*slice.id.topic)
            .bind(slice.id.partition)
            .bind(slice.expected.0)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
