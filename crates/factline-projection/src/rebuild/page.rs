//! A page of events from the log, in one transaction with the positions. What cannot be applied parks its
//! stream, under the rebuild's own name, found in the same ways as in a live batch.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use sqlx::PgConnection;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    Rebuilder, Setback, Step, finish,
    places::{self, Place},
    tables::{Side, Tables},
};
use crate::{
    Projection,
    attempt::{Finished, judge},
    batch::{Job, Standstill},
    book::Book,
    failure::class_of_fault,
    partition::Intake,
    projection::Beside,
    rebuilds::Rebuild,
    settings::ms,
    shared::Shared,
    transaction::{self, Settled},
    trust,
};

const SKIPPED: &str = "
    select (outcome->'skipped'->>'event_id')::uuid from projection.operator_acts
    where projection = $1 and act = 'skip' and state = 'done'";

const NO_LONGER_WAITS: &str = "
    update projection.rebuilds set waiting = null where id = $1 and waiting is not null";

impl<P: Projection> Rebuilder<P> {
    /// Applies the next page.
    pub(super) async fn page(
        &mut self,
        session: &mut PgConnection,
        rebuild: &Rebuild,
        tables: &Tables,
        places: &[Place],
    ) -> Result<Step, Setback> {
        let begun = Instant::now();
        let settings = &self.shared.settings;
        let most = i64::try_from(settings.batch_records).unwrap_or(i64::MAX);
        // No more than a second's worth, so that a slow rebuild is an even load and hears a cancel.
        let most = rebuild.events_per_second.map_or(most, |rate| most.min(i64::from(rate)));
        let most = if self.single_steps > 0 { 1 } else { most };
        let skipped = skipped(session, self.shared.name()).await?;
        let mut job = read(&self.shared, places::intakes(places, most), &skipped).await?;
        let book = Book::Beside { name: tables.book(Side::Next), skipped };
        let beside = prepare(&self.shared, session).await?;
        // Should the process end with this page in hand, no batch of a live view is to blame.
        let _turn = trust::turn(false).await;
        let mut panics = 0;
        loop {
            let within = ms(self.shared.settings.transaction_within_ms);
            let writing = write(&self.shared, session, rebuild, &book, &beside, &job);
            let written = timeout(within, writing).await.unwrap_or_else(|elapsed| {
                let elapsed = std::io::Error::other(elapsed);
                Err(transaction::Setback::Database(sqlx::Error::Io(elapsed)))
            });
            let setback = match written {
                Ok(None) => return Ok(Step::More(Duration::ZERO)), // somebody has said something
                Ok(Some(_)) => {
                    let events = job.batch.events.len() + job.batch.unreadable.len();
                    self.single_steps = self.single_steps.saturating_sub(events);
                    self.page_first = self.single_steps > 0;
                    return Ok(Step::More(pause(rebuild, events, begun.elapsed())));
                }
                Err(setback) => setback,
            };
            sqlx::raw_sql("rollback").execute(&mut *session).await?;
            if let Some(finished) = judge(&mut job, setback, &mut panics) {
                return self.give_up(finished, job.batch.events.len());
            } // or again, without what was found out
        }
    }

    /// A page that is not worth another transaction as it is.
    fn give_up(&mut self, finished: Finished, events: usize) -> Result<Step, Setback> {
        match finished {
            Finished::FindPoison => {
                self.single_steps = events;
                self.page_first = true;
                Ok(Step::More(Duration::ZERO))
            }
            Finished::ParkedLimit(parked) => Err(Setback::too_much(parked)),
            Finished::Failed(class, why) => Err(Setback::of_class(class, why)),
            Finished::Refused(_) => Err(Setback::Wait("another process has moved it".into())),
            Finished::Nothing | Finished::Settled(_) | Finished::Fork(..) => {
                Err(Setback::Failed("a page ended as none can".into()))
            }
        }
    }
}

/// Reads a page from the log; all of it, or nothing.
pub(super) async fn read<P: Projection>(
    shared: &Shared<P>,
    intakes: Vec<Intake>,
    skipped: &HashSet<Uuid>,
) -> Result<Job<P::Event>, Setback> {
    let mut job = Job::new(intakes);
    job.check_ids = true; // so that skipped ones are left out; also those that cannot be read
    job.open(&shared.reader, Some(&*shared.past)).await;
    job.batch.unreadable.retain(|one| !skipped.contains(&one.envelope.event_id));
    match job.standstills.pop() {
        None => Ok(job),
        Some((_, Standstill::Failed(fault))) => {
            Err(Setback::of_class(class_of_fault(&fault), fault.to_string()))
        }
        Some((id, Standstill::Gap(why))) => Err(Setback::Failed(format!("{id}: {why}"))),
    }
}

/// The view on the table beside its own, which must be there.
pub(super) async fn prepare<P: Projection>(
    shared: &Shared<P>,
    session: &mut PgConnection,
) -> Result<Beside<P::Event>, Setback> {
    let gone = || Setback::Failed("it is no view of one table".into());
    let beside = shared.projection.beside().ok_or_else(gone)?;
    let prepared = beside.projection.prepare(session).await;
    prepared.map_err(|error| Setback::of_class(error.class(), error.to_string()))?;
    Ok(beside)
}

/// The events that operators have taken out of the view's history.
pub(super) async fn skipped(
    connection: &mut PgConnection,
    projection: &str,
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let ids: Vec<Option<Uuid>> =
        sqlx::query_scalar(SKIPPED).bind(projection).fetch_all(connection).await?;
    Ok(ids.into_iter().flatten().collect())
}

async fn write<P: Projection>(
    shared: &Shared<P>,
    tx: &mut PgConnection,
    rebuild: &Rebuild,
    book: &Book,
    beside: &Beside<P::Event>,
    job: &Job<P::Event>,
) -> Result<Option<Settled>, transaction::Setback> {
    if !finish::take(tx, rebuild).await? {
        sqlx::raw_sql("rollback").execute(tx).await?;
        return Ok(None);
    }
    let projection = &*beside.projection;
    sqlx::query(NO_LONGER_WAITS).bind(rebuild.id).execute(&mut *tx).await?;
    let settled = transaction::write(tx, projection, book, job, &shared.settings).await?;
    factline_failpoints::reach("rebuild_in_page").await; // everything written, nothing committed
    sqlx::raw_sql("commit").execute(tx).await?;
    Ok(Some(settled))
}

/// How long to wait so that no more events a second are applied than was asked for.
fn pause(rebuild: &Rebuild, events: usize, took: Duration) -> Duration {
    let Some(rate) = rebuild.events_per_second else { return Duration::ZERO };
    let events = u32::try_from(events).unwrap_or(u32::MAX);
    let rate = u32::try_from(rate).unwrap_or(1).max(1);
    (Duration::from_secs(1) * events / rate).saturating_sub(took)
}
