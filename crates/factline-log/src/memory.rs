//! The log without a database, for unit tests of whatever sends commands: the same decisions,
//! repeats, versions and positions, held to the same contract (`tests/contract.rs`).
//!
//! It is a lane's memory that forgets nothing, and a counter for each partition. What it does not
//! know: faults, restarts, and one key on two streams of a partition (keys made by
//! [`factline_core::command_key`] never are).

use std::sync::{Arc, Mutex, PoisonError};

use chrono::Utc;
use factline_core::{Aggregate, Fault, Position, Recorded};
use tokio::sync::mpsc;

use crate::{
    Command, Lanes,
    batch::{Outcome, Pending},
    cache::Cache,
    decision::{self, Decided},
    kind::Kind,
    recorded::{Placed, record},
};

/// Commands that may wait in a queue of it: far more than a unit test sends at once.
const QUEUE: usize = 100_000;

/// A log in memory. Clones share it; it ends with the last of them and of its lanes.
#[derive(Clone)]
pub struct MemoryLog<A: Aggregate>(Arc<Shared<A>>);

struct Shared<A: Aggregate> {
    kind: Arc<Kind<A>>,
    partitions: i32,
    held: Mutex<Held<A>>,
}

struct Held<A: Aggregate> {
    streams: Cache<A>,
    /// The last position of each partition.
    heads: Vec<Position>,
}

impl<A: Aggregate> MemoryLog<A> {
    /// An empty log of one topic.
    ///
    /// # Errors
    /// A compiled-in schema is not admissible.
    pub fn new(topic: &str, partitions: i32) -> Result<Self, Fault> {
        let heads = (0..partitions).map(|_| Position::ZERO).collect();
        let held = Mutex::new(Held { streams: Cache::unbounded(), heads });
        Ok(Self(Arc::new(Shared { kind: Kind::new(topic)?, partitions, held })))
    }

    /// The lanes of one more process on this log. Needs a tokio runtime, as the real ones do.
    #[must_use]
    pub fn lanes(&self) -> Lanes<A> {
        let (queue, mut commands) = mpsc::channel::<Pending<A>>(QUEUE);
        let shared = self.0.clone();
        tokio::spawn(async move {
            while let Some(pending) = commands.recv().await {
                let outcome = shared.carry_out(pending.partition, &pending.command);
                pending.answer(outcome);
            }
        });
        Lanes::over(self.0.kind.topic.clone(), self.0.partitions, vec![queue])
    }

    /// Everything that was stored, by partition and position.
    #[must_use]
    pub fn events(&self) -> Vec<Recorded<A::Event>> {
        let held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events: Vec<_> =
            held.streams.events().map(|event| Recorded::clone(&event.recorded)).collect();
        events.sort_by_key(|event| (event.envelope.partition, event.envelope.position));
        events
    }
}

impl<A: Aggregate> Shared<A> {
    fn carry_out(&self, partition: i32, command: &Command<A>) -> Outcome<A> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Held { streams, heads } = &mut *held;
        let known = streams.first_answers(&command.stream_id, &[command]).unwrap_or_default();
        if let Some(first_answer) = known.into_iter().flatten().next() {
            return first_answer;
        }
        let before = streams.get(&command.stream_id).unwrap_or_default();
        let decided = decision::decide(&before, &[command], &self.kind.codec);
        let head = &mut heads[usize::try_from(partition).unwrap_or_default()];
        let first = head.next().0;
        let positions: Vec<Position> = (first..).map(Position).take(decided.events.len()).collect();
        *head = positions.last().copied().unwrap_or(*head);
        let recorded_at = Utc::now();
        let placed =
            Placed { partition, before: before.version, positions: &positions, recorded_at };
        let Decided { answers, events, after } = decided;
        let events = record(&placed, &self.kind, &[command], events);
        let outcome = answers.into_iter().find_map(|answer| answer.outcome(&events));
        streams.remember(&command.stream_id, before, after, events);
        outcome.unwrap_or_else(|| {
            Err(crate::CommandFault::Unavailable(Fault::fatal("deciding", "no answer")))
        })
    }
}
