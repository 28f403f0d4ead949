//! Retry: the parked events of a stream, in order, through the projection; then the stream is live.

use std::panic::AssertUnwindSafe;

use factline_core::Recorded;
use futures::FutureExt as _;
use sqlx::{PgConnection, types::Json};

use super::{
    Pace, Setback,
    reopen::{Reopener, cause},
    stream::{self, PAGE},
};
use crate::{
    ApplyError, Projection,
    acts::{Act, Outcome},
    failure::Class,
    fold::panic_text,
    inspect::ParkedEvent,
    ledger,
    shared::Shared,
};

/// Applies the first page, and frees the stream when it was the last.
pub(super) async fn page<P: Projection>(
    shared: &Shared<P>,
    reopener: &mut Reopener,
    tx: &mut PgConnection,
    act: &Act,
    pace: Pace,
) -> Result<Outcome, Setback> {
    let partitions = stream::hold(tx, act, PAGE).await?;
    let before = act.outcome.as_ref().map(|Json(outcome)| outcome.clone());
    let mut outcome = Outcome { waiting: None, ..before.unwrap_or_default() };
    take_page(shared, reopener, tx, act, pace, partitions, &mut outcome).await?;
    if outcome.still_parked == 0 {
        stream::set_free(tx, act).await?;
    }
    Ok(outcome)
}

/// Applies every page; the caller rolls back.
pub(super) async fn dry_run<P: Projection>(
    shared: &Shared<P>,
    reopener: &mut Reopener,
    tx: &mut PgConnection,
    act: &Act,
    pace: Pace,
) -> Result<Outcome, Setback> {
    let partitions = stream::hold(tx, act, PAGE).await?;
    let mut outcome = Outcome::default();
    loop {
        take_page(shared, reopener, tx, act, pace, partitions, &mut outcome).await?;
        if outcome.still_parked == 0 {
            break;
        }
    }
    outcome.still_parked = outcome.applied + outcome.known;
    Ok(outcome)
}

async fn take_page<P: Projection>(
    shared: &Shared<P>,
    reopener: &mut Reopener,
    tx: &mut PgConnection,
    act: &Act,
    pace: Pace,
    partitions: i32,
    outcome: &mut Outcome,
) -> Result<(), Setback> {
    let rows = stream::front(&mut *tx, act, PAGE).await?;
    let reopened = reopener.page(&shared.reader, &rows, partitions).await?;
    let known = ledger::known(tx, shared.name(), &reopened.events).await?;
    let is_new = |event: &Recorded<P::Event>| !known.contains(&event.envelope.event_id);
    let events: Vec<_> = reopened.events.into_iter().filter(is_new).collect();
    match pace {
        Pace::Together => apply(shared, tx, &events, &rows).await?,
        Pace::OneByOne => {
            for event in events.chunks(1) {
                apply(shared, tx, event, &rows).await?;
            }
        }
    }
    if let Some(unreadable) = reopened.unreadable {
        return Err(Setback::Poison(unreadable));
    }
    if !ledger::enter(tx, shared.name(), &events).await? {
        return Err(Setback::Refused("an event had its effect meanwhile".into()));
    }
    outcome.applied += count(events.len());
    outcome.known += count(known.len());
    outcome.still_parked = stream::remove(tx, act, &rows).await?;
    Ok(())
}

async fn apply<P: Projection>(
    shared: &Shared<P>,
    tx: &mut PgConnection,
    events: &[Recorded<P::Event>],
    rows: &[ParkedEvent],
) -> Result<(), Setback> {
    if events.is_empty() {
        return Ok(());
    }
    // Which event it was is known when the projection names it, or when there is but one.
    let blame = |index: Option<usize>, code: &str, detail: String| {
        let event = index.and_then(|index| events.get(index)).map(|event| &event.envelope);
        let row = event.and_then(|event| rows.iter().find(|row| row.event_id == event.event_id));
        row.map_or(Setback::FindPoison, |row| Setback::Poison(cause(row, code, detail)))
    };
    let only = (events.len() == 1).then_some(0);
    let applying = AssertUnwindSafe(shared.projection.apply(tx, events)).catch_unwind();
    match applying.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(ApplyError::Poison(poisoned))) => {
            let first = poisoned.into_iter().min_by_key(|one| one.index);
            Err(first
                .map_or(Setback::FindPoison, |one| blame(Some(one.index), one.code, one.detail)))
        }
        Ok(Err(error)) => Err(match error.class() {
            Class::Poison => blame(only, "constraint_violation", error.to_string()),
            class => Setback::of_class(class, error.to_string()),
        }),
        Err(panic) => Err(blame(only, "bug", panic_text(&*panic))),
    }
}

fn count(events: usize) -> i64 {
    i64::try_from(events).unwrap_or(i64::MAX)
}
