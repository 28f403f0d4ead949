//! Deciding a stream's commands under the lock of its partition's head.
//!
//! One transaction: lock the head, load the stream, look the keys up, decide what is new, append,
//! commit. Under the lock nothing can move, so there is never a third try: every command ends as
//! done, refused, or a repeat that gets its first answer again.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use factline_codec::{Codec, StoredEvent};
use factline_core::{Aggregate, Fault, Position, Recorded, Version};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    Command, CommandFault, Done,
    append::{Group, append},
    classify, decision,
    lane::{Lane, Outcome, Pending, StreamBatch, settled},
    load::{self, Loaded},
    reader::{StreamBound, stored, stream_rows},
    recorded::{Placed, record},
    schemas::SchemaBook,
};

const DOING: &str = "settling commands under the lock";

/// How a transaction ended that did not commit for certain.
struct Failure {
    fault: Fault,
    /// The commit was on its way: it may have happened.
    committing: bool,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, committing: false }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        classify(DOING, error).into()
    }
}

impl<A: Aggregate> Lane<A> {
    /// Settles streams one by one. `unsure`: an earlier append of these commands may have
    /// happened, so failing now means that their outcome is unknown.
    pub(crate) async fn settle_all(&mut self, streams: Vec<StreamBatch<A>>, unsure: bool) {
        for mut stream in streams {
            // A twin of a command in the same batch meets that command's key in the next round.
            while !stream.pending.is_empty() {
                metrics::counter!("factline_log_settled_total", "topic" => self.topic.to_string())
                    .increment(u64::try_from(stream.pending.len()).unwrap_or(u64::MAX));
                match self.settle(&stream).await {
                    Ok(settled) => stream.pending = self.answer(stream.pending, settled).await,
                    Err(failure) => {
                        self.connection.discard().await;
                        self.cache.forget(&stream.stream_id);
                        let unknown = unsure || failure.committing;
                        fail(std::mem::take(&mut stream.pending), &failure.fault, unknown);
                    }
                }
            }
        }
    }

    /// Gives every command its outcome; returns the twins that have none yet.
    async fn answer(&mut self, pending: Vec<Pending<A>>, settled: Settled<A>) -> Vec<Pending<A>> {
        let Some(first) = pending.first() else { return pending };
        let stream_id = first.command.stream_id.clone();
        let mut twins = Vec::new();
        for (pending, outcome) in pending.into_iter().zip(settled.outcomes) {
            match outcome {
                Some(outcome) => pending.answer(outcome),
                None => twins.push(pending),
            }
        }
        self.remember(&stream_id, settled.before, settled.after).await;
        self.appended.notify_one();
        twins
    }

    async fn settle(&mut self, stream: &StreamBatch<A>) -> Result<Settled<A>, Failure> {
        let schema_ids = self.schema_ids().await?.to_vec();
        let Self { topic, codec, schemas, connection, .. } = self;
        let mut tx = connection.get().await?.begin().await?;
        lock_head(&mut tx, topic, stream.partition).await?;
        let place = [(stream.partition, &stream.stream_id)];
        let start = load::load::<A>(&mut tx, schemas, codec, topic, &place).await?;
        let start = start.into_iter().next().unwrap_or_default();
        let known = known_keys(&mut tx, topic, stream).await?;

        let mut outcomes = Vec::with_capacity(stream.pending.len());
        let mut fresh = Vec::new();
        for Pending { command, .. } in &stream.pending {
            let first = known.get(&command.key);
            outcomes.push(match first {
                Some(first) => {
                    Some(repeat(&mut tx, schemas, codec, topic, stream, command, first).await?)
                }
                None => {
                    fresh.push(command);
                    None
                }
            });
        }
        let before = start.version;
        let decided = decision::decide(start, &fresh, codec);
        let (positions, recorded_at) =
            match decision::group(stream.partition, before, &fresh, &decided, &schema_ids) {
                Some(group) => append_locked(&mut tx, topic, group).await?,
                None => (Vec::new(), DateTime::UNIX_EPOCH), // every command was a repeat
            };
        if positions.is_empty() {
            tx.rollback().await?; // nothing was written: a commit would flush the lock to disk
        } else {
            let unsure = |error| Failure { fault: classify(DOING, error), committing: true };
            tx.commit().await.map_err(unsure)?;
        }

        let placed = Placed {
            topic,
            partition: stream.partition,
            before,
            positions: &positions,
            recorded_at,
        };
        let events = record(&placed, codec, &fresh, &decided);
        let mut answers = decided.answers.into_iter();
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
            *outcome = answers.next().and_then(|answer| settled(answer, &events));
        }
        Ok(Settled { outcomes, before, after: decided.after })
    }
}

/// What a transaction came to.
struct Settled<A: Aggregate> {
    /// One for each command, in order; none for a twin of an earlier one.
    outcomes: Vec<Option<Outcome<A>>>,
    before: Version,
    after: Loaded<A>,
}

async fn lock_head(
    connection: &mut PgConnection,
    topic: &str,
    partition: i32,
) -> Result<(), sqlx::Error> {
    const LOCK: &str = "select log.lock_heads($1, array[$2])";
    sqlx::query(LOCK).bind(topic).bind(partition).execute(connection).await.map(|_| ())
}

async fn append_locked(
    connection: &mut PgConnection,
    topic: &str,
    group: Group<'_>,
) -> Result<(Vec<Position>, DateTime<Utc>), Failure> {
    let appended = append(connection, topic, &[group]).await?;
    match appended.positions.into_iter().next().flatten() {
        Some(positions) => Ok((positions, appended.recorded_at)),
        None => Err(Fault::transient(DOING, "the stream moved although its head is locked").into()),
    }
}

/// A key that is in the log: where its command's first event stands, and what it stands for.
struct First {
    version: Version,
    fingerprint: Vec<u8>,
}

async fn known_keys<A: Aggregate>(
    connection: &mut PgConnection,
    topic: &str,
    stream: &StreamBatch<A>,
) -> Result<HashMap<Uuid, First>, sqlx::Error> {
    // An order that a range leaves open, so that only the keys' own index gives it: see log.append.
    const KNOWN: &str = "
        select e.command_key, e.version, e.command_fingerprint
        from unnest($3::uuid[]) k (key)
        cross join lateral (
            select command_key, version, command_fingerprint from log.events
            where topic = $1 and partition = $2 and command_key between k.key and k.key
            order by command_key limit 1
        ) e";
    let keys: Vec<Uuid> = stream.pending.iter().map(|pending| pending.command.key).collect();
    let rows: Vec<(Uuid, i64, Vec<u8>)> = sqlx::query_as(KNOWN)
        .bind(topic)
        .bind(stream.partition)
        .bind(keys)
        .fetch_all(connection)
        .await?;
    let first = |version, fingerprint| First { version: Version(version), fingerprint };
    Ok(rows.into_iter().map(|(key, version, print)| (key, first(version, print))).collect())
}

/// The first answer again, rebuilt from the events that the command wrote: from the one with its
/// key up to the next one with a key.
async fn repeat<A: Aggregate>(
    connection: &mut PgConnection,
    schemas: &SchemaBook,
    codec: &Codec<A::Event>,
    topic: &str,
    stream: &StreamBatch<A>,
    command: &Command<A>,
    first: &First,
) -> Result<Outcome<A>, Failure> {
    if first.fingerprint != command.fingerprint {
        return Ok(Err(CommandFault::KeyReused));
    }
    let mut rows = stream_rows(
        connection,
        topic,
        stream.partition,
        &stream.stream_id,
        Version::ZERO,
        StreamBound::Everything,
        i64::MAX,
    )
    .await?;
    let starts = |version: i64| version >= first.version.0;
    let end = rows
        .iter()
        .position(|row| row.4 > first.version.0 && row.14.is_some())
        .unwrap_or(rows.len());
    rows.truncate(end);
    let own = rows.iter().filter(|row| starts(row.4)).count();
    let (mut state, mut events) = (A::default(), Vec::with_capacity(own));
    let mut version = Version::ZERO;
    for StoredEvent { envelope, schema, datum } in stored(connection, schemas, rows).await? {
        let event = codec.decode(&schema, &datum).map_err(|error| Fault::fatal(DOING, error))?;
        state.evolve(&event);
        version = envelope.version;
        if starts(version.0) {
            events.push(Recorded { envelope, event });
        }
    }
    Ok(Ok(Done { version, state, events, replayed: true }))
}

fn fail<A: Aggregate>(pending: Vec<Pending<A>>, fault: &Fault, unknown: bool) {
    tracing::warn!(error = %fault, unknown, "commands were not settled");
    for pending in pending {
        let fault = again(fault);
        pending.answer(Err(if unknown {
            CommandFault::OutcomeUnknown(fault)
        } else {
            CommandFault::Unavailable(fault)
        }));
    }
}

/// The same fault for another caller: its source is one error that many waited for.
fn again(fault: &Fault) -> Fault {
    match fault {
        Fault::Transient { doing, source } => Fault::transient(doing, source.to_string()),
        Fault::Poison { doing, source } => Fault::poison(doing, source.to_string()),
        Fault::Fatal { doing, source } => Fault::fatal(doing, source.to_string()),
    }
}
