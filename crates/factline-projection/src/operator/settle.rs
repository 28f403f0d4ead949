//! What is written about an act: its outcome, and the attempt that it was for the event that failed.

use sqlx::{PgConnection, PgPool, types::Json};

use super::Setback;
use crate::{
    acts::{Act, EventCause, Outcome, Wish},
    park::{fingerprint, storable},
};

const RECORD: &str = "
    update projection.operator_acts
    set state = $2, outcome = $3,
        finished_at = case when $2 = 'asked' then null else clock_timestamp() end
    where id = $1";

const ASKED: &str =
    "select * from projection.operator_acts where id = $1 and state = 'asked' for update";

const ATTEMPTED: &str = "
    update projection.parked_events set attempts = attempts + 1, code = $5, detail = $6
    where projection = $1 and topic = $2 and partition = $3 and position = $4";

const CAUSE: &str = "
    update projection.parked_streams set code = $4, detail = $5, fingerprint = $6
    where projection = $1 and topic = $2 and stream_id = $3";

const STILL_PARKED: &str = "
    select count(*) from projection.parked_events
    where projection = $1 and topic = $2 and stream_id = $3";

/// Writes an act's state and outcome.
pub(super) async fn record(
    tx: &mut PgConnection,
    id: i64,
    state: &str,
    outcome: &Outcome,
) -> Result<(), sqlx::Error> {
    sqlx::query(RECORD).bind(id).bind(state).bind(Json(outcome)).execute(tx).await?;
    Ok(())
}

/// Records that an act was rolled back, in a transaction of its own; says whether that finished it.
/// Nothing is recorded when another process has finished it meanwhile.
pub(super) async fn settle(
    database: &PgPool,
    id: i64,
    setback: &Setback,
) -> Result<bool, sqlx::Error> {
    let mut tx = database.begin().await?;
    let asked: Option<Act> = sqlx::query_as(ASKED).bind(id).fetch_optional(&mut *tx).await?;
    let Some(act) = asked else { return Ok(false) };
    let before = act.outcome.as_ref().map(|Json(outcome)| outcome.clone());
    let mut outcome = Outcome { waiting: None, ..before.unwrap_or_default() };
    outcome.still_parked = sqlx::query_scalar(STILL_PARKED)
        .bind(&act.projection)
        .bind(&act.topic)
        .bind(&act.stream_id)
        .fetch_one(&mut *tx)
        .await?;
    let state = match setback {
        Setback::Poison(cause) => {
            let cause = EventCause { detail: storable(&cause.detail), ..cause.clone() };
            if act.wish() == Wish::Retry {
                attempted(&mut tx, &act, &cause).await?;
            }
            outcome.failed = Some(cause);
            "refused"
        }
        Setback::Refused(why) => {
            outcome.refused = Some(storable(why));
            "refused"
        }
        Setback::FindPoison => "refused",
        Setback::Wait(why) => {
            outcome.waiting = Some(storable(why));
            "asked"
        }
    };
    record(&mut tx, id, state, &outcome).await?;
    tx.commit().await?;
    Ok(state == "refused")
}

/// The event has failed once more; it is what its stream stands still for now.
async fn attempted(
    tx: &mut PgConnection,
    act: &Act,
    cause: &EventCause,
) -> Result<(), sqlx::Error> {
    sqlx::query(ATTEMPTED)
        .bind(&act.projection)
        .bind(&act.topic)
        .bind(cause.partition)
        .bind(cause.position)
        .bind(&cause.code)
        .bind(&cause.detail)
        .execute(&mut *tx)
        .await?;
    sqlx::query(CAUSE)
        .bind(&act.projection)
        .bind(&act.topic)
        .bind(&act.stream_id)
        .bind(&cause.code)
        .bind(&cause.detail)
        .bind(fingerprint(&cause.code, &cause.event_type, &cause.detail))
        .execute(tx)
        .await?;
    Ok(())
}
