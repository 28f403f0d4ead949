//! The way out for commands that an append did not take, or perhaps took: a conflict, a repeat, a
//! twin, a lost connection.
//!
//! A command whose key is in the log gets its first answer again, without a lock. The others are
//! decided under the lock of their partition's head, a stream at a time, in one transaction: lock
//! the head, load the stream, look the keys up once more, decide what is new, append, commit. Under
//! the lock nothing can move, so there is never a third try.

use std::collections::{HashSet, VecDeque};

use chrono::DateTime;
use factline_core::{Aggregate, Fault};
use sqlx::{Connection, PgConnection};

use crate::{
    Command,
    append::{self, Group, Taken},
    batch::{Outcome, StreamBatch},
    classify,
    decision::{self, Decided},
    fault,
    kind::Kind,
    lane::Lane,
    load::{self, Loaded},
    recorded::{Placed, record},
    repeats,
    stretch::Marked,
};

const DOING: &str = "settling commands under the lock";

impl<A: Aggregate> Lane<A> {
    /// Gives every command its outcome. `unsure`: an earlier append of these commands may have
    /// happened, so failing now means that their outcome is unknown.
    pub(crate) async fn settle_all(&mut self, mut streams: Vec<StreamBatch<A>>, unsure: bool) {
        self.answer_from_memory(&mut streams);
        self.answer_from_log(&mut streams).await;
        let mut waiting = VecDeque::from(streams);
        while let Some(mut stream) = waiting.pop_front() {
            metrics::counter!("factline_log_settled_total", "topic" => self.kind.topic.to_string())
                .increment(u64::try_from(stream.pending.len()).unwrap_or(u64::MAX));
            let failure = match self.settle(&stream).await {
                Ok(settled) => {
                    self.take_in(&mut stream, settled);
                    if !stream.pending.is_empty() {
                        waiting.push_front(stream); // twins, whose key is known by now
                    }
                    continue;
                }
                Err(failure) => failure,
            };
            self.connection.discard().await;
            self.cache.forget(&stream.stream_id);
            if failure.is_of_one_command() && stream.pending.len() > 1 {
                stream.apart().rev().for_each(|one| waiting.push_front(one));
                continue;
            }
            let Failure { fault, committing } = failure;
            tracing::warn!(error = %fault, stream_id = %stream.stream_id, unsure, committing, "commands were not settled");
            stream.fail(&fault, unsure || committing);
            if matches!(fault, Fault::Transient { .. }) {
                // The others would wait in vain for the same lock or the same server.
                waiting.drain(..).for_each(|stream| stream.fail(&fault, unsure));
            }
        }
    }

    /// One transaction under the lock: what a stream's commands come to.
    async fn settle(&mut self, stream: &StreamBatch<A>) -> Result<Settled<A>, Failure> {
        self.agree_with_log().await?;
        let Self { kind, connection, views, schema_ids, .. } = self;
        let partition = stream.partition;
        let mut tx = connection.get().await?.begin().await?;
        lock_head(&mut tx, &kind.topic, partition).await?;
        let before = load_one(&mut tx, kind, stream).await?;
        let commands: Vec<_> = stream.commands().into_iter().map(|one| (partition, one)).collect();
        let mut outcomes = repeats::first_answers(&mut tx, kind, &commands).await?;

        let known = outcomes.iter().map(Option::is_some);
        let fresh: Vec<&Command<A>> = (commands.iter().zip(known))
            .filter_map(|((_, command), known)| (!known).then_some(*command))
            .collect();
        let decided = decision::decide(&before, &fresh, &kind.codec);
        let group = decision::group(partition, before.version, &fresh, &decided, schema_ids);
        let taken = append_locked(&mut tx, &kind.topic, group).await?;
        let Taken { positions, recorded_at } = taken;
        let placed =
            Placed { partition, before: before.version, positions: &positions, recorded_at };
        let Decided { answers, events, after } = decided;
        let events = record(&placed, kind, &fresh, events);
        if events.is_empty() {
            tx.rollback().await?; // nothing was written: a commit would flush the lock to disk
        } else {
            views.keep(&mut tx, kind, &events).await?;
            tx.commit().await.map_err(Failure::at_commit)?;
        }

        let mut answers = answers.into_iter();
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
            *outcome = answers.next().and_then(|answer| answer.outcome(&events));
        }
        Ok(Settled { outcomes, before, after, events })
    }

    /// Answers the commands that have an outcome; twins of others go on waiting.
    fn take_in(&mut self, stream: &mut StreamBatch<A>, settled: Settled<A>) {
        let Settled { outcomes, before, after, events } = settled;
        let wrote = !events.is_empty();
        stream.answer(outcomes);
        self.remember(&stream.stream_id, before, after, events);
        if wrote {
            self.appended.notify_one();
        }
    }
}

/// What a transaction came to.
struct Settled<A: Aggregate> {
    /// One for each command, in order; none for a twin of an earlier one.
    outcomes: Vec<Option<Outcome<A>>>,
    before: Loaded<A>,
    after: Loaded<A>,
    events: Vec<Marked<A::Event>>,
}

async fn lock_head(
    connection: &mut PgConnection,
    topic: &str,
    partition: i32,
) -> Result<(), sqlx::Error> {
    const LOCK: &str = "select log.lock_heads($1, array[$2])";
    sqlx::query(LOCK).bind(topic).bind(partition).execute(connection).await.map(|_| ())
}

async fn load_one<A: Aggregate>(
    connection: &mut PgConnection,
    kind: &Kind<A>,
    stream: &StreamBatch<A>,
) -> Result<Loaded<A>, Fault> {
    let place = [(stream.partition, &stream.stream_id)];
    Ok(load::load(connection, kind, &place).await?.into_iter().next().unwrap_or_default())
}

/// Appends a group, if there is one, to a stream that cannot move.
async fn append_locked(
    connection: &mut PgConnection,
    topic: &str,
    group: Option<Group<'_>>,
) -> Result<Taken, Failure> {
    let Some(group) = group else {
        return Ok(Taken { positions: Vec::new(), recorded_at: DateTime::UNIX_EPOCH });
    };
    let appended = append::insert(connection, topic, &[group], &HashSet::new()).await?;
    appended.into_iter().next().flatten().ok_or_else(|| {
        Fault::transient(DOING, "the stream moved although its head is locked").into()
    })
}

/// How a transaction ended that did not commit for certain.
struct Failure {
    fault: Fault,
    /// The commit was on its way: it may have happened.
    committing: bool,
}

impl Failure {
    fn at_commit(error: sqlx::Error) -> Self {
        let committing = !fault::was_rolled_back(&error);
        Self { fault: classify(DOING, error), committing }
    }

    /// Data that does not fit: its neighbours in the stream may well go through without it.
    fn is_of_one_command(&self) -> bool {
        matches!(self.fault, Fault::Poison { .. }) && !self.committing
    }
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
