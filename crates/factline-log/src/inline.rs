//! Views in the append's own transaction: whoever was answered reads what he wrote, in every process,
//! without a token. Opt-in for each view: each costs every append of its kind some round trips under the
//! partitions' locks.
//!
//! **The contract.** A view's rows, its checkpoint and the events are one transaction, and the heads of
//! the partitions are locked in it. So a view that is at work is never behind. What another process
//! appended that does not have the view is read from the log first, in the same transaction or, when a
//! connection is new, page by page before the first command. An event that a view cannot take fails its
//! command, and nothing is appended; one that is in the log already keeps the kind's commands waiting
//! until the view can.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use factline_codec::StoredEvent;
use factline_core::{Aggregate, DomainEvent, Fault, Position, Recorded};
use sqlx::{Connection, PgConnection};

use crate::{
    classify,
    kind::Kind,
    reader::{rows_after, stored},
    stretch::Marked,
};

const DOING: &str = "keeping an inline view";

/// Events that are read at once for a view that is behind: some 20 ms of work.
const PAGE: i64 = 1_000;

/// A view that is kept in the transaction of the append.
#[async_trait]
pub trait InlineView<E>: Send + Sync + 'static {
    /// Names its checkpoints. Permanent.
    fn name(&self) -> &'static str;

    /// Called on every new connection before the first batch.
    ///
    /// # Errors
    /// What the view needs is not there: no command is taken until it is.
    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), Fault>;

    /// Takes events into its rows: of each partition in order and each event once. Never begins, commits or
    /// rolls back.
    ///
    /// # Errors
    /// Poison when one of the events can never be taken. The transaction is rolled back in any case.
    async fn apply(&self, tx: &mut PgConnection, events: &[Recorded<E>]) -> Result<(), Fault>;
}

/// The views of one kind, in the order in which they are kept.
pub(crate) struct InlineViews<E>(Vec<Arc<dyn InlineView<E>>>);

impl<E> Clone for InlineViews<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A partition's positions before some events of it, and after them.
type Span = (Position, Position);

impl<E: DomainEvent> InlineViews<E> {
    pub(crate) fn new(views: Vec<Arc<dyn InlineView<E>>>) -> Self {
        Self(views)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Brings every view to the end of the log, on a connection that is in no transaction.
    pub(crate) async fn begin<A: Aggregate<Event = E>>(
        &self,
        connection: &mut PgConnection,
        kind: &Kind<A>,
        partitions: i32,
    ) -> Result<(), Fault> {
        for view in &self.0 {
            view.prepare(connection).await?;
            begin(connection, view.name(), &kind.topic, partitions).await?;
            for partition in 0..partitions {
                while turn_a_page(connection, &**view, kind, partition).await? {}
            }
        }
        Ok(())
    }

    /// Takes events into every view, in the transaction that has just appended them.
    pub(crate) async fn keep<A: Aggregate<Event = E>>(
        &self,
        tx: &mut PgConnection,
        kind: &Kind<A>,
        events: &[Marked<E>],
    ) -> Result<(), Fault> {
        if self.is_empty() || events.is_empty() {
            return Ok(());
        }
        let events: Vec<Recorded<E>> =
            events.iter().map(|event| Recorded::clone(&event.recorded)).collect();
        let spans = spans(&events);
        for view in &self.0 {
            for (partition, was) in advance(tx, view.name(), &kind.topic, &spans).await? {
                let before = spans.get(&partition).map_or(was, |(before, _)| *before);
                catch_up(tx, &**view, kind, partition, (was, before)).await?;
            }
            view.apply(tx, &events).await?;
        }
        Ok(())
    }
}

fn spans<E>(events: &[Recorded<E>]) -> BTreeMap<i32, Span> {
    let mut spans: BTreeMap<i32, Span> = BTreeMap::new();
    for Recorded { envelope, .. } in events {
        let (position, before) = (envelope.position, Position(envelope.position.0 - 1));
        let span = spans.entry(envelope.partition).or_insert((before, position));
        *span = (span.0.min(before), span.1.max(position));
    }
    spans
}

async fn begin(
    connection: &mut PgConnection,
    view: &str,
    topic: &str,
    partitions: i32,
) -> Result<(), Fault> {
    const BEGIN: &str = "
        insert into log.inline_checkpoints (view, topic, partition)
        select $1, $2, generate_series(0, $3 - 1) on conflict do nothing";
    let begin = sqlx::query(BEGIN).bind(view).bind(topic).bind(partitions);
    begin.execute(connection).await.map_err(|error| classify(DOING, error))?;
    Ok(())
}

/// Moves the view's checkpoints to the ends of the spans; gives where they were. Their rows stay locked.
async fn advance(
    tx: &mut PgConnection,
    view: &str,
    topic: &str,
    spans: &BTreeMap<i32, Span>,
) -> Result<Vec<(i32, Position)>, Fault> {
    const ADVANCE: &str = "
        with span as (select * from unnest($3::int[], $4::bigint[]) s (partition, last)),
             was as (
                 select c.partition, c.position from log.inline_checkpoints c
                 where c.view = $1 and c.topic = $2 and c.partition = any($3)
                 order by c.partition for update
             )
        update log.inline_checkpoints c set position = span.last
        from span join was on was.partition = span.partition
        where c.view = $1 and c.topic = $2 and c.partition = span.partition
        returning c.partition, was.position";
    let partitions: Vec<i32> = spans.keys().copied().collect();
    let lasts: Vec<i64> = spans.values().map(|(_, last)| last.0).collect();
    let advance = sqlx::query_as(ADVANCE).bind(view).bind(topic).bind(&partitions).bind(lasts);
    let were: Vec<(i32, i64)> =
        advance.fetch_all(tx).await.map_err(|error| classify(DOING, error))?;
    if were.len() != partitions.len() {
        return Err(Fault::fatal(DOING, format!("{view} has lost a checkpoint")));
    }
    Ok(were.into_iter().map(|(partition, was)| (partition, Position(was))).collect())
}

/// Takes in what was appended without the view, behind the first position and up to the second.
async fn catch_up<A: Aggregate>(
    tx: &mut PgConnection,
    view: &dyn InlineView<A::Event>,
    kind: &Kind<A>,
    partition: i32,
    (mut was, until): Span,
) -> Result<(), Fault> {
    while was < until {
        let limit = PAGE.min(until.0 - was.0);
        let missed = next_events(tx, kind, partition, was, limit).await?;
        let Some(last) = missed.last() else {
            let words = format!("{}/{partition} has no position behind {was}", kind.topic);
            return Err(Fault::fatal(DOING, words));
        };
        was = last.envelope.position;
        view.apply(tx, &missed).await?;
    }
    Ok(())
}

/// Takes the next page of a partition into a view; whether there was one.
async fn turn_a_page<A: Aggregate>(
    connection: &mut PgConnection,
    view: &dyn InlineView<A::Event>,
    kind: &Kind<A>,
    partition: i32,
) -> Result<bool, Fault> {
    const LOCK: &str = "
        select position from log.inline_checkpoints
        where view = $1 and topic = $2 and partition = $3 for update";
    let failed = |error| classify(DOING, error);
    let mut tx = connection.begin().await.map_err(failed)?;
    let lock = sqlx::query_scalar(LOCK).bind(view.name()).bind(&*kind.topic).bind(partition);
    let was: i64 = lock.fetch_one(&mut *tx).await.map_err(failed)?;
    let page = next_events(&mut tx, kind, partition, Position(was), PAGE).await?;
    let Some(last) = page.last() else {
        tx.rollback().await.map_err(failed)?;
        return Ok(false);
    };
    let span = BTreeMap::from([(partition, (Position(was), last.envelope.position))]);
    advance(&mut tx, view.name(), &kind.topic, &span).await?;
    view.apply(&mut tx, &page).await?;
    tx.commit().await.map_err(failed)?;
    Ok(true)
}

/// The next events of one partition, at most `limit`; also those that the connection's own transaction
/// has appended.
async fn next_events<A: Aggregate>(
    connection: &mut PgConnection,
    kind: &Kind<A>,
    partition: i32,
    after: Position,
    limit: i64,
) -> Result<Vec<Recorded<A::Event>>, Fault> {
    let rows = rows_after(connection, &kind.topic, &[(partition, after)], limit).await?;
    let stored = stored(connection, &kind.schemas, rows).await?;
    let decode = |StoredEvent { envelope, schema, datum }| {
        let event = kind.codec.decode(&schema, &datum);
        let event = event.map_err(|error| Fault::fatal(DOING, error))?;
        Ok(Recorded { envelope, event })
    };
    stored.into_iter().map(decode).collect()
}
