//! A view at work, as a service runs it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bench_load::{Latency, Measured, Meter};
use factline_codec::Registry;
use factline_projection::{
    FoldedView, History, MIGRATOR, Projection, ProjectionSettings, Projector, ProjectorError,
    ProjectorParts, View,
};
use factline_testkit::TestDatabase;
use factline_testkit::parcels::ParcelEvent;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::backlog::Backlog;
use crate::failure::Failure;

/// How often progress is looked at: a drain takes seconds.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// A drain that takes longer has stopped.
const WITHIN: Duration = Duration::from_secs(300);

/// A view's projector in this process.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(), ProjectorError>>,
}

impl Running {
    /// Starts it with default settings. With a history it can refill and rebuild.
    ///
    /// # Errors
    /// The projector cannot be made.
    pub(crate) async fn start<V: View + 'static>(
        backlog: &Backlog,
        pool: &PgPool,
        history: Option<Arc<dyn History>>,
    ) -> Result<Running, Failure>
    where
        FoldedView<V>: Projection<Event = ParcelEvent>,
    {
        MIGRATOR.run(pool).await.map_err(|error| Failure::new(error.to_string()))?;
        let projector = Projector::new(ProjectorParts {
            projection: FoldedView::<V>::new(),
            kafka: backlog.kafka.clone(),
            database: pool.clone(),
            registry: Arc::new(Registry::new(&backlog.registry)?),
            history,
            settings: ProjectionSettings::default(),
        })?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(projector.run(stop.clone().cancelled_owned()));
        Ok(Running { stop, task })
    }

    /// Ends it in good order.
    ///
    /// # Errors
    /// It did not end in good order.
    pub(crate) async fn end(self) -> Result<(), Failure> {
        self.stop.cancel();
        let ended = self.task.await.map_err(|error| Failure::new(error.to_string()))?;
        ended.map_err(|error| Failure::new(error.to_string()))
    }
}

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
    FoldedView<V>: Projection<Event = ParcelEvent>,
{
    let pool = database.pool().await;
    let running = Running::start::<V>(backlog, &pool, None).await?;
    let first = reach(&pool, 1).await?;
    let (before, began) = (meter.read(), Instant::now());
    let last = reach(&pool, backlog.events).await?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = meter.since(&before);
    running.end().await?;
    let measured = Measured { units: last - first, seconds, latency: Latency::default(), cpu };
    Ok((measured, check::<V>(&pool, backlog.events).await?))
}

/// Waits until so many events have had their effect; how many have.
///
/// # Errors
/// They have not in time.
pub(crate) async fn reach(pool: &PgPool, events: u64) -> Result<u64, Failure> {
    const APPLIED: &str = "select coalesce(sum(position), 0)::bigint from projection.checkpoints";
    let deadline = Instant::now() + WITHIN;
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

/// Whether every event has had its effect, once.
///
/// # Errors
/// The database fails.
pub(crate) async fn check<V: View>(
    pool: &PgPool,
    events: u64,
) -> Result<Result<String, String>, Failure> {
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
