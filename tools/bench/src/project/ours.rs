//! A view at work, as a service runs it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bench_load::{Latency, Measured, Meter};
use factline_codec::Registry;
use factline_projection::{
    FoldedView, MIGRATOR, ProjectionSettings, Projector, ProjectorParts, View,
};
use factline_testkit::TestDatabase;
use factline_testkit::parcels::ParcelEvent;
use sqlx::PgPool;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::backlog::Backlog;
use crate::failure::Failure;

/// How often progress is looked at: a drain takes seconds.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// A drain that takes longer has stopped.
const WITHIN: Duration = Duration::from_secs(300);

/// Catches up with a topic, from the first commit to the last.
///
/// # Errors
/// It does not finish, or the database fails.
pub(super) async fn measure<V: View + 'static>(
    backlog: &Backlog,
    database: &TestDatabase,
    meter: &Meter,
) -> Result<(Measured, Result<String, String>), Failure>
where
    FoldedView<V>: factline_projection::Projection<Event = ParcelEvent>,
{
    let pool = database.pool().await;
    MIGRATOR.run(&pool).await.map_err(|error| Failure::new(error.to_string()))?;
    let projector = Projector::new(ProjectorParts {
        projection: FoldedView::<V>::new(),
        kafka: backlog.kafka.clone(),
        database: pool.clone(),
        registry: Arc::new(Registry::new(&backlog.registry)?),
        history: None,
        settings: ProjectionSettings::default(),
    })?;
    let stop = CancellationToken::new();
    let running = tokio::spawn(projector.run(stop.clone().cancelled_owned()));
    let deadline = Instant::now() + WITHIN;
    let first = reach(&pool, 1, deadline).await?;
    let (before, began) = (meter.read(), Instant::now());
    let last = reach(&pool, backlog.events, deadline).await?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = meter.since(&before);
    stop.cancel();
    let ended = running.await.map_err(|error| Failure::new(error.to_string()))?;
    ended.map_err(|error| Failure::new(error.to_string()))?;
    let measured = Measured { units: last - first, seconds, latency: Latency::default(), cpu };
    Ok((measured, check::<V>(&pool, backlog.events).await?))
}

/// Waits until so many events have had their effect; how many have.
async fn reach(pool: &PgPool, events: u64, deadline: Instant) -> Result<u64, Failure> {
    const APPLIED: &str = "select coalesce(sum(position), 0)::bigint from projection.checkpoints";
    loop {
        let (applied,): (i64,) = sqlx::query_as(APPLIED).fetch_one(pool).await?;
        if applied.unsigned_abs() >= events {
            return Ok(applied.unsigned_abs());
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!("{applied} of {events} events were applied")));
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn check<V: View>(pool: &PgPool, events: u64) -> Result<Result<String, String>, Failure> {
    const CHECK: &str = "
        select (select count(*) from projection.processed_events),
               (select coalesce(sum(pieces), 0)::bigint from pieces),
               (select count(*) from sendings),
               (select count(*) from projection.parked_events)";
    let (processed, pieces, sendings, parked): (i64, i64, i64, i64) =
        sqlx::query_as(CHECK).fetch_one(pool).await?;
    let told = format!("{processed} ids, {pieces} pieces, {sendings} sendings, {parked} parked");
    let events = i64::try_from(events).unwrap_or(i64::MAX);
    let rows = if V::NAME == "pieces" { pieces } else { sendings };
    let right = (processed, rows, parked) == (events, events, 0);
    Ok(if right { Ok(told) } else { Err(told) })
}
