//! A rebuild as an operator asks for it, of a view that a projector in this process keeps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bench_load::{Measured, Meter};
use factline_log::LogReader;
use factline_projection::rebuilds::{self, Begin, NewRebuild, Rebuild};
use factline_projection::{FoldedView, History, Projection, View};
use factline_testkit::TestDatabase;
use factline_testkit::parcels::ParcelEvent;
use sqlx::PgPool;
use tokio::time::sleep;

use crate::backlog::Backlog;
use crate::drain;
use crate::failure::Failure;
use crate::project::ours::{Running, check, reach};

/// How often progress is looked at: a rebuild takes seconds.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A rebuild that takes longer has stopped.
const WITHIN: Duration = Duration::from_secs(300);

/// Where a rebuild reads the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    Log,
    Topic,
}

/// Catches up, asks for a rebuild, and measures until it has been switched to.
///
/// # Errors
/// It does not finish, or the database fails.
pub(super) async fn measure<V: View + 'static>(
    backlog: &Backlog,
    database: &TestDatabase,
    meter: &Meter,
    past: Past,
) -> Result<(Measured, Result<String, String>), Failure>
where
    FoldedView<V>: Projection<Event = ParcelEvent>,
{
    let pool = database.pool().await;
    let history: Option<Arc<dyn History>> = match past {
        Past::Log => Some(Arc::new(LogReader::new(&backlog.log.settings.owner_url, 2)?)),
        Past::Topic => None,
    };
    let running = Running::start::<V>(backlog, &pool, history).await?;
    reach(&pool, backlog.events).await?;
    let measured = drain::measure(meter, rebuild::<V>(&pool, backlog.events)).await?;
    running.end().await?;
    Ok((measured, check::<V>(&pool, backlog.events).await?))
}

async fn rebuild<V: View>(pool: &PgPool, events: u64) -> Result<u64, Failure> {
    let wanted = NewRebuild {
        who: "bench",
        reason: "to measure it",
        projection: V::NAME,
        begin: Begin::Nothing,
        events_per_second: None,
        accept_difference: false,
    };
    let id = rebuilds::ask(pool, &wanted).await?;
    let deadline = Instant::now() + WITHIN;
    loop {
        let Rebuild { state, difference, waiting, error, .. } = rebuilds::find(pool, id).await?;
        let told = format!("the rebuild is {state}: {difference:?} {waiting:?} {error:?}");
        match &*state {
            "switched" => return Ok(events),
            "asked" | "building" if Instant::now() < deadline => sleep(LOOK_EVERY).await,
            _ => return Err(Failure::new(told)),
        }
    }
}
