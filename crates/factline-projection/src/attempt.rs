//! One job, from records to a committed batch, or to the reason why not.
//!
//! Decides here: do it again without what is poison, look for the poison one by one, or hand the
//! failure to the worker. Never parks anything for what the infrastructure did.

use std::time::Duration;

use factline_kafka::PartitionId;
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use crate::{
    ApplyError, Poisoned, Projection,
    batch::Job,
    checkpoint::{self, Checkpoint},
    failure::{Class, class_of},
    park::Parked,
    settings::ms,
    shared::Shared,
    transaction::{self, Setback, Settled},
    trust,
};

/// A server that accepts no connection in this time is away.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A panic may be chance once.
const PANICS_BEFORE_POISON: u32 = 2;

/// How a job ended.
#[derive(Debug)]
pub(crate) enum Finished {
    /// No partition had anything that can be dealt with now.
    Nothing,
    Settled(Settled),
    /// Another owner has moved checkpoints; this is where they stand.
    Refused(Vec<Checkpoint>),
    /// One of several events cannot be applied, and nothing says which.
    FindPoison,
    Fork(PartitionId, factline_core::Position),
    ParkedLimit(Parked),
    Failed(Class, String),
}

/// Runs a job. Dropping the call leaves every record in the job, and the session unusable.
pub(crate) async fn run<P: Projection>(
    shared: &Shared<P>,
    session: &mut Option<PgConnection>,
    job: &mut Job<P::Event>,
) -> Finished {
    if let Err(error) = mark(shared, job).await {
        return Finished::Failed(class_of(&error), format!("marking a batch: {error}"));
    }
    job.open(&shared.reader, shared.history.as_deref()).await;
    if job.batch.is_empty() {
        return Finished::Nothing;
    }
    let mut panics = 0;
    loop {
        let setback = match one_transaction(shared, session, job).await {
            Ok(settled) => return Finished::Settled(settled),
            Err(setback) => setback,
        };
        if !matches!(setback, Setback::Poison(_) | Setback::SeenBefore | Setback::Refused) {
            *session = None; // whatever it was, it ends with the connection
        }
        match judge(job, setback, &mut panics) {
            Some(Finished::Refused(_)) => return refused(shared, job).await,
            Some(finished) => return finished,
            None => continue, // again, without what was found out
        }
    }
}

/// Leaves the marks of a job, and takes its turn.
async fn mark<P: Projection>(
    shared: &Shared<P>,
    job: &mut Job<P::Event>,
) -> Result<(), sqlx::Error> {
    let marks = job.marks();
    if marks.is_empty() {
        return Ok(());
    }
    let alone = marks.iter().any(|mark| mark.attempt > 1);
    job.turn = trust::turn(alone).await;
    trust::set(&shared.database, shared.name(), &marks).await
}

async fn one_transaction<P: Projection>(
    shared: &Shared<P>,
    session: &mut Option<PgConnection>,
    job: &Job<P::Event>,
) -> Result<Settled, Setback> {
    let connection = match session {
        Some(connection) => connection,
        None => session.insert(connect(shared).await.map_err(Setback::Apply)?),
    };
    let within = ms(shared.settings.transaction_within_ms);
    let running = transaction::run(connection, &shared.projection, job, &shared.settings);
    timeout(within, running).await.unwrap_or_else(|elapsed| {
        *session = None;
        Err(Setback::Database(sqlx::Error::Io(std::io::Error::other(elapsed))))
    })
}

/// What a setback means for the job: `None` says that it is worth another transaction now.
/// Where checkpoints stand that another owner has moved is left to the caller.
pub(crate) fn judge<E>(job: &mut Job<E>, setback: Setback, panics: &mut u32) -> Option<Finished> {
    let unknown = |text: String| Some(Finished::Failed(Class::Unknown, text));
    match setback {
        Setback::Poison(poisoned) => {
            let new = |one: &Poisoned| {
                one.index < job.batch.events.len()
                    && job.poisoned.iter().all(|known| known.index != one.index)
            };
            let new: Vec<_> = poisoned.into_iter().filter(new).collect();
            if new.is_empty() {
                return unknown("the projection named no event of the batch as poison".into());
            }
            job.poisoned.extend(new);
            None
        }
        Setback::SeenBefore if job.check_ids => {
            unknown("event ids of the batch are known, and yet they are not".into())
        }
        Setback::SeenBefore => {
            job.check_ids = true;
            None
        }
        Setback::Panicked(text) => {
            *panics += 1;
            match job.batch.events.len() {
                1 if *panics < PANICS_BEFORE_POISON => None,
                1 => condemn(job, "bug", text),
                _ => Some(Finished::FindPoison),
            }
        }
        Setback::Apply(error) => match error.class() {
            Class::Poison if job.batch.events.len() > 1 => Some(Finished::FindPoison),
            Class::Poison => condemn(job, "constraint_violation", error.to_string()),
            class => Some(Finished::Failed(class, error.to_string())),
        },
        Setback::Database(error) => match class_of(&error) {
            // The runtime's own tables refuse: nothing that an event could be blamed for.
            Class::Poison => unknown(error.to_string()),
            class => Some(Finished::Failed(class, error.to_string())),
        },
        Setback::Refused => Some(Finished::Refused(Vec::new())),
        Setback::Fork(id, position) => Some(Finished::Fork(id, position)),
        Setback::ParkedLimit(parked) => Some(Finished::ParkedLimit(parked)),
    }
}

/// The batch's only event is the poison; unless it was condemned before and still fails.
fn condemn<E>(job: &mut Job<E>, code: &'static str, detail: String) -> Option<Finished> {
    if job.poisoned.is_empty() && job.batch.events.len() == 1 {
        job.poisoned.push(Poisoned { index: 0, code, detail });
        return None;
    }
    Some(Finished::Failed(Class::Unknown, detail))
}

async fn refused<P: Projection>(shared: &Shared<P>, job: &Job<P::Event>) -> Finished {
    let ids = job.batch.slices.iter().map(|slice| slice.id.clone());
    match checkpoint::read(&shared.database, shared.name(), ids).await {
        Ok(checkpoints) => Finished::Refused(checkpoints),
        Err(error) => Finished::Failed(class_of(&error), error.to_string()),
    }
}

/// Opens a connection for transactions and lets the projection look at it.
pub(crate) async fn connect<P: Projection>(shared: &Shared<P>) -> Result<PgConnection, ApplyError> {
    let idle = shared.settings.transaction_idle_ms.to_string();
    let options = (*shared.database.connect_options()).clone().options([
        ("timezone", "UTC"), // times pass through JSON
        // A plan made while a table was empty would scan it for ever.
        ("enable_seqscan", "off"),
        // Of an array the planner thinks that it has ten elements, whatever its length: planning anew
        // for each would tell it nothing.
        ("plan_cache_mode", "force_generic_plan"),
        ("idle_in_transaction_session_timeout", &idle),
        // A server that crashes takes effect and checkpoint back together, and Kafka or the log bring
        // the events again: a commit need not wait for the disk that the log's commits need.
        ("synchronous_commit", "off"),
    ]);
    let connecting = timeout(CONNECT_WITHIN, PgConnection::connect_with(&options)).await;
    let mut connection = connecting
        .unwrap_or_else(|elapsed| Err(sqlx::Error::Io(std::io::Error::other(elapsed))))?;
    shared.projection.prepare(&mut connection).await?;
    Ok(connection)
}
