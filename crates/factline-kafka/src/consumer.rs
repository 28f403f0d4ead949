//! A consumer group's member that only polls, and never on a tokio worker.
//!
//! **Contract.** One OS thread owns the client. It polls without pause, so the member never leaves
//! its group because the work behind it is slow. It fetches nothing of a partition before the
//! runtime has said where to begin, and gives a partition up only after the runtime has said where
//! it stopped, or failed to say so in time. Offsets are committed when the runtime says so, never
//! by the client. Everything that happens flows through one channel, in order:
//!
//! ```text
//! Kafka ── poll ──▶ thread ── ConsumerEvent ──▶ runtime
//!                     ▲────── commit, restart, close ──┘
//! ```
//!
//! The channel holds a bounded number of records: each partition has a [`Backlog`] that counts what
//! was delivered and not yet [taken](Backlog::taken). A full one first makes the thread wait a
//! moment, then pauses the partition; the others go on.
//!
//! A completion of an assignment that has ended carries an old epoch and is dropped, so a late
//! commit can neither rewind nor advance a partition that came back.

mod backlog;
mod commits;
mod context;
mod delivery;
mod held;
mod thread;
mod trouble;

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use factline_core::Fault;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{KafkaSettings, Record};

pub use backlog::Backlog;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId {
    /// The topic.
    pub topic: Arc<str>,
    /// From 0.
    pub partition: i32,
}

impl std::fmt::Display for PartitionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// What to consume and how patiently.
#[derive(Debug, Clone)]
pub struct ConsumerSpec {
    /// The consumer group.
    pub group: String,
    /// The topics.
    pub topics: Vec<Arc<str>>,
    /// How many records may wait for the runtime, for each partition that is held. Partitions share that room;
    /// one may have up to half of it.
    pub backlog_records: usize,
    /// A partition that has records and yields none for so long makes the client be rebuilt; and so does a group
    /// that owes an answer for so much longer than its longest rebalance (`max.poll.interval.ms`).
    pub stall_after: Duration,
    /// How long a close may take before it is given up.
    pub close_within: Duration,
}

/// Where to begin a partition. Never the broker's idea of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// The oldest record that is still there.
    Beginning,
    /// The offset of the next record to read.
    Offset(i64),
}

impl StartAt {
    /// At this offset; without one, at the beginning.
    #[must_use]
    pub fn next(offset: Option<i64>) -> Self {
        offset.map_or(Self::Beginning, Self::Offset)
    }
}

/// How far a partition's work has come, in one assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which partition.
    pub id: PartitionId,
    /// The assignment that the work was done under.
    pub epoch: u64,
    /// See [`next_offset`].
    pub next_offset: i64,
}

/// The offset to commit, and to begin at, after a record has been dealt with: Kafka's committed
/// offset names the *next* record.
#[must_use]
pub const fn next_offset(record: &Record) -> i64 {
    record.offset + 1
}

/// A partition that now belongs to this member.
#[derive(Debug, Clone)]
pub struct AssignedPartition {
    /// Which.
    pub id: PartitionId,
    /// How many partitions its topic has at this moment.
    pub partitions: i32,
    /// Counts what waits for the runtime.
    pub backlog: Arc<Backlog>,
}

/// Records of one partition, in the order of their offsets.
#[derive(Debug)]
pub struct Delivery {
    /// Which partition.
    pub id: PartitionId,
    /// The assignment that they were fetched under.
    pub epoch: u64,
    /// How often [`ConsumerHandle::read_again`] had been heard in it when they were fetched.
    pub pass: u32,
    /// At least one.
    pub records: Vec<Record>,
}

/// An answer that the polling thread waits for, within a deadline.
#[derive(Debug)]
pub struct Reply<T>(mpsc::SyncSender<T>);

impl<T> Reply<T> {
    /// Answers. An answer after the deadline is lost, and the thread has gone on without it.
    pub fn send(self, answer: T) {
        // The thread stopped waiting: it has already acted as if there were no answer.
        drop(self.0.try_send(answer));
    }
}

/// What the polling thread reports, in order.
#[derive(Debug)]
pub enum ConsumerEvent {
    /// Partitions came. Nothing is fetched before the answer says where each begins.
    Assigned {
        /// Rises with every assignment.
        epoch: u64,
        /// What came.
        partitions: Vec<AssignedPartition>,
        /// One start for each. Without an answer the client gives everything back and joins anew.
        reply: Reply<Vec<(PartitionId, StartAt)>>,
    },
    /// Records came.
    Records(Delivery),
    /// Partitions go. The answer says how far each came; it is committed before they are let go.
    Revoked {
        /// What goes.
        partitions: Vec<PartitionId>,
        /// They are gone already: nothing can be committed.
        lost: bool,
        /// Answered when no work on them is under way any more.
        reply: Reply<Vec<Progress>>,
    },
    /// The offsets to read next are not there: retention passed them, or the topic was made anew.
    /// The partitions stand still until [`ConsumerHandle::restart`].
    OffsetLost {
        /// Which.
        partitions: Vec<PartitionId>,
    },
    /// The brokers are away or refuse. The thread goes on trying.
    Trouble(Fault),
    /// Trouble is over.
    Recovered,
    /// The client could not be made. The last event.
    Failed(Fault),
    /// The thread has closed the client. The last event.
    Closed {
        /// The group was left in order, within the time allowed.
        clean: bool,
    },
}

/// The runtime's side of the polling thread. Dropping it closes the client, on that thread.
#[derive(Debug)]
pub struct Consumer {
    commands: mpsc::Sender<Command>,
    events: UnboundedReceiver<ConsumerEvent>,
}

/// Tells the polling thread how far partitions have come, and where to read on; cheap to clone.
#[derive(Debug, Clone)]
pub struct ConsumerHandle {
    commands: mpsc::Sender<Command>,
}

#[derive(Debug)]
pub(crate) enum Command {
    Commit(Vec<Progress>),
    Restart { id: PartitionId, epoch: u64, at: StartAt, again: bool },
    Close,
}

impl Consumer {
    /// Starts the thread; it connects and joins the group by itself.
    ///
    /// # Errors
    /// Fatal when the operating system gives no thread.
    pub fn start(settings: &KafkaSettings, spec: ConsumerSpec) -> Result<Self, Fault> {
        let (commands, orders) = mpsc::channel();
        let (reports, events) = unbounded_channel();
        let config = settings.consumer_config(&spec.group);
        // A group waits no longer for a member that does not come to join it again.
        let longest_rebalance = Duration::from_millis(settings.max_poll_interval_ms.into());
        let answered_within = spec.stall_after + longest_rebalance;
        std::thread::Builder::new()
            .name(format!("kafka-{}", spec.group))
            .spawn(move || thread::run(&config, spec, answered_within, &orders, &reports))
            .map_err(|error| Fault::fatal("starting the consumer's thread", error))?;
        Ok(Self { commands, events })
    }

    /// The next event; `None` after the last. Safe to cancel.
    pub async fn next(&mut self) -> Option<ConsumerEvent> {
        self.events.recv().await
    }

    /// For whoever deals with the records.
    #[must_use]
    pub fn handle(&self) -> ConsumerHandle {
        ConsumerHandle { commands: self.commands.clone() }
    }

    /// Asks the thread to leave the group. Go on reading events: partitions are revoked first,
    /// then [`ConsumerEvent::Closed`] comes.
    pub fn close(&self) {
        // A thread that is gone has already reported its last event.
        drop(self.commands.send(Command::Close));
    }
}

impl ConsumerHandle {
    /// Commits when the thread next has a moment; of several for one partition the last counts.
    /// The broker's offset is a hint, so nobody waits for it.
    pub fn commit(&self, progress: Vec<Progress>) {
        self.order(Command::Commit(progress));
    }

    /// Reads a partition from another place, after its offset was lost; what was fetched before still
    /// comes. Of an assignment that has ended it changes nothing.
    pub fn restart(&self, id: PartitionId, epoch: u64, at: StartAt) {
        self.order(Command::Restart { id, epoch, at, again: false });
    }

    /// Reads records of a partition once more, from an earlier place. What was fetched before is behind
    /// that place and not wanted; it is told apart by [`Delivery::pass`].
    pub fn read_again(&self, id: PartitionId, epoch: u64, at: StartAt) {
        self.order(Command::Restart { id, epoch, at, again: true });
    }

    fn order(&self, command: Command) {
        // A thread that is gone has given its partitions back.
        drop(self.commands.send(command));
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_after_record_n_is_n_plus_one() {
        let record = Record {
            topic: "factline.parcel.v1".into(),
            partition: 0,
            offset: 41,
            key: None,
            value: None,
            headers: Vec::new(),
            timestamp_ms: None,
        };
        assert_eq!(next_offset(&record), 42);
    }
}
