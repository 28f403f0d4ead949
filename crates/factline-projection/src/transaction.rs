//! One batch, one transaction.
//!
//! **The delivery contract.** An event's effect, its id in `processed_events` and its partition's
//! checkpoint become visible together or not at all; Kafka's offset follows only after that. So:
//!
//! - A crash before the commit leaves no trace; a crash after it leaves an offset behind that the
//!   checkpoint overrules.
//! - The checkpoint moves by compare-and-set, first of all. A second owner (a process that was
//!   frozen and thawed, a rebalance not yet noticed) finds it moved, writes nothing and is counted.
//! - A position that comes again has its event id in `processed_events`, or it is a fork: the log
//!   was restored to an earlier point and has written something else there. Then nothing moves.
//! - An event that cannot be applied parks its stream in the same transaction; whatever waits
//!   behind it in that stream joins it, and every other stream flows.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
};

use factline_core::{DomainEvent, Envelope, Position, Recorded};
use factline_failpoints::is_broken;
use factline_kafka::PartitionId;
use futures::FutureExt as _;
use sqlx::PgConnection;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    ApplyError, Poisoned, Projection, ProjectionSettings,
    batch::{Batch, Job},
    book::Book,
    broken,
    fold::panic_text,
    ledger,
    park::{self, Parked, Parking, STREAM_PARKED, StreamName},
    trace,
};

/// What a committed batch did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) applied: usize,
    pub(crate) repeats: usize,
    pub(crate) parked: usize,
    pub(crate) foreign: usize,
    /// How many streams are parked now, when this batch parked something.
    pub(crate) parked_streams: Option<i64>,
}

/// Why a batch was rolled back.
#[derive(Debug)]
pub(crate) enum Setback {
    /// A checkpoint was not where it was expected: another owner has moved it.
    Refused,
    /// At this position the log holds another event than the one that was applied.
    Fork(PartitionId, Position),
    /// These events of the batch cannot be applied.
    Poison(Vec<Poisoned>),
    /// An event id of the batch had its effect before, at a position that the checkpoint lacks.
    SeenBefore,
    /// The projection panicked.
    Panicked(String),
    /// So much is parked that the cause cannot be single streams.
    ParkedLimit(Parked),
    /// The projection said no.
    Apply(ApplyError),
    /// The runtime's own statements failed.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Setback {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Runs the batch of a job on a connection that is in no transaction. After an error it is in none
/// again, or it is broken.
pub(crate) async fn run<P: Projection>(
    connection: &mut PgConnection,
    projection: &P,
    job: &Job<P::Event>,
    settings: &ProjectionSettings,
) -> Result<Settled, Setback> {
    factline_failpoints::reach("projector_with_batch").await; // a batch in hand, nothing open
    broken::outside(connection, projection, job).await?;
    sqlx::raw_sql("begin").execute(&mut *connection).await?;
    let book = Book::Live(projection.name());
    match write(connection, projection, &book, job, settings).await {
        Ok(settled) => {
            factline_failpoints::reach("projector_in_batch").await;
            sqlx::raw_sql("commit").execute(&mut *connection).await?;
            factline_failpoints::reach("projector_after_commit").await;
            Ok(settled)
        }
        Err(setback) => {
            sqlx::raw_sql("rollback").execute(&mut *connection).await?;
            Err(setback)
        }
    }
}

/// Writes a batch in an open transaction: the delivery contract, for a live view and for one that is
/// rebuilt beside it. After an error the caller rolls back.
pub(crate) async fn write<P: Projection + ?Sized>(
    tx: &mut PgConnection,
    projection: &P,
    book: &Book,
    job: &Job<P::Event>,
    settings: &ProjectionSettings,
) -> Result<Settled, Setback> {
    let (name, batch) = (book.name(), &job.batch);
    if !is_broken(broken::OFFSET_BEFORE_COMMIT) && !book.advance(tx, &batch.slices).await? {
        return Err(Setback::Refused);
    }
    let streams = park::streams(tx, name).await?;
    let known = if job.check_ids { book.known(tx, &batch.events).await? } else { HashSet::new() };
    let sorted = sort(job, &streams, &known);
    if !is_broken(broken::PLAIN_POOL_WRITE) {
        apply(tx, projection, &sorted).await?;
    }
    if is_broken(broken::NO_COMPARE_AND_SET) {
        broken::enter_again(tx, name, &sorted.apply).await?;
    } else if !book.enter(tx, &sorted.apply).await? {
        return Err(Setback::SeenBefore);
    }
    let parked_streams = park_all(tx, name, &sorted.park, settings).await?;
    for (fault, record) in &batch.foreign {
        park::keep_foreign(tx, name, fault, record).await?;
    }
    if let Some((topic, partition, position)) =
        ledger::unknown_repeat(tx, name, &batch.repeats).await?
    {
        let id = PartitionId { topic: topic.into(), partition };
        return Err(Setback::Fork(id, Position(position)));
    }
    Ok(Settled {
        applied: sorted.apply.len(),
        repeats: batch.repeats.len() + sorted.known,
        parked: sorted.park.len(),
        foreign: batch.foreign.len(),
        parked_streams,
    })
}

async fn apply<P: Projection + ?Sized>(
    tx: &mut PgConnection,
    projection: &P,
    sorted: &Sorted<'_, P::Event>,
) -> Result<(), Setback> {
    let Some(last) = sorted.apply.last() else { return Ok(()) };
    let span = tracing::info_span!(
        "projection.apply",
        projection = projection.name(),
        events = sorted.apply.len(),
        trace_id = trace::trace_id(&last.envelope).unwrap_or_default(),
    );
    let applying = projection.apply(tx, &sorted.apply).instrument(span);
    match AssertUnwindSafe(applying).catch_unwind().await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(ApplyError::Poison(mut poisoned))) => {
            for one in &mut poisoned {
                one.index = sorted.index_in_batch(one.index);
            }
            Err(Setback::Poison(poisoned))
        }
        Ok(Err(error)) => Err(Setback::Apply(error)),
        Err(panic) => Err(Setback::Panicked(panic_text(&*panic))),
    }
}

async fn park_all(
    tx: &mut PgConnection,
    projection: &str,
    parkings: &[Parking<'_>],
    settings: &ProjectionSettings,
) -> Result<Option<i64>, Setback> {
    if parkings.is_empty() {
        return Ok(None);
    }
    for parking in parkings {
        park::park(tx, projection, parking).await?;
    }
    let parked = park::counts(tx, projection).await?;
    if parked.is_too_much(settings) {
        return Err(Setback::ParkedLimit(parked));
    }
    Ok(Some(parked.streams))
}

/// The batch, parted into what is applied and what is parked.
pub(crate) struct Sorted<'a, E: Clone> {
    pub(crate) apply: Cow<'a, [Recorded<E>]>,
    /// Of each of `apply`, its index in the batch; empty when they are the same.
    indices: Vec<usize>,
    pub(crate) park: Vec<Parking<'a>>,
    /// Events left out because they had their effect before.
    pub(crate) known: usize,
}

impl<E: Clone> Sorted<'_, E> {
    /// Of an event of `apply`, its index in the batch.
    pub(crate) fn index_in_batch(&self, index: usize) -> usize {
        self.indices.get(index).copied().unwrap_or(index)
    }
}

type StreamOf<'a> = (&'a str, &'a str);

fn stream_of(envelope: &Envelope) -> StreamOf<'_> {
    (&envelope.topic, envelope.stream_id.as_str())
}

/// Parts the batch of a job. `streams`: the parked ones; `known`: ids of the batch that had their
/// effect before.
pub(crate) fn sort<'a, E: DomainEvent>(
    job: &'a Job<E>,
    streams: &HashSet<StreamName>,
    known: &HashSet<Uuid>,
) -> Sorted<'a, E> {
    let batch = &job.batch;
    let stops = stops(batch, &job.poisoned);
    let parked_before = |envelope: &Envelope| {
        let (topic, stream) = stream_of(envelope);
        !streams.is_empty() && streams.contains(&(topic.to_owned(), stream.to_owned()))
    };
    let mut park = park_unreadable(batch, &stops, parked_before);
    let (mut indices, mut seen, mut left_out) = (Vec::new(), known.clone(), 0);
    for (index, event) in batch.events.iter().enumerate() {
        let (envelope, origin) = (&event.envelope, &batch.origins[index]);
        let stop = stops.get(&stream_of(envelope)).copied();
        let before = parked_before(envelope);
        let own = job.poisoned.iter().find(|poison| poison.index == index);
        let flows = !before && stop.is_none_or(|stop| envelope.position < stop);
        if flows || (own.is_none() && is_broken(broken::PARK_ONE_EVENT_ONLY)) {
            if job.check_ids && !seen.insert(envelope.event_id) {
                left_out += 1;
            } else {
                indices.push(index);
            }
            continue;
        }
        let (code, detail) = match own {
            Some(poison) => (poison.code, poison.detail.as_str()),
            None => (STREAM_PARKED, "an earlier event of this stream is parked"),
        };
        let first = !before && stop == Some(envelope.position);
        park.push(Parking { envelope, origin, code, detail, first });
    }
    if indices.len() == batch.events.len() {
        let apply = Cow::Borrowed(batch.events.as_slice());
        return Sorted { apply, indices: Vec::new(), park, known: left_out };
    }
    let apply = indices.iter().map(|index| batch.events[*index].clone()).collect();
    Sorted { apply: Cow::Owned(apply), indices, park, known: left_out }
}

/// Where each stream that this batch parks stops: the lowest position that cannot be applied.
fn stops<'a, E>(batch: &'a Batch<E>, poisoned: &[Poisoned]) -> HashMap<StreamOf<'a>, Position> {
    let events = poisoned.iter().filter_map(|poison| batch.events.get(poison.index));
    let poison = events.map(|event| &event.envelope);
    let unreadable = batch.unreadable.iter().map(|one| &one.envelope);
    let mut stops = HashMap::new();
    for envelope in poison.chain(unreadable) {
        let stop = stops.entry(stream_of(envelope)).or_insert(envelope.position);
        *stop = (*stop).min(envelope.position);
    }
    stops
}

fn park_unreadable<'a, E>(
    batch: &'a Batch<E>,
    stops: &HashMap<StreamOf<'a>, Position>,
    parked_before: impl Fn(&Envelope) -> bool,
) -> Vec<Parking<'a>> {
    let parking = |one: &'a crate::batch::Unreadable| {
        let envelope = &one.envelope;
        let stop = stops.get(&stream_of(envelope)).copied();
        Parking {
            envelope,
            origin: &one.origin,
            code: one.bad.code,
            detail: &one.bad.detail,
            first: !parked_before(envelope) && stop == Some(envelope.position),
        }
    };
    batch.unreadable.iter().map(parking).collect()
}
