//! The polling thread: orders in, polls, reports out. Nothing here waits for work to be done, but
//! for the moment that a full backlog is given to drain before its partition is paused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, TryRecvError},
    },
    time::{Duration, Instant},
};

use factline_core::Fault;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{debug, warn};

use super::{
    Command, ConsumerEvent, ConsumerSpec, Delivery, PartitionId, StartAt,
    backlog::Room,
    commits::{self, Commits},
    context::{Context, plain_list, starting_list},
    delivery,
    trouble::Stalls,
};
use crate::classify;

/// A poll returns as soon as a record comes; this is how late an order can be heard on an idle
/// topic.
const POLL: Duration = Duration::from_millis(20);
/// How many records go to the runtime in one piece: enough to make the channel's cost vanish, few
/// enough that the runtime starts on them at once.
const CHUNK: usize = 500;
/// How long a full backlog may hold the thread before its partition is paused. A pause throws the
/// client's prefetched records away, to be fetched again: with 200 ms a drain of a backlog fetched
/// everything seven times (the broker's CPU for an event: 7.6 us instead of 1.1), because a worker
/// comes back to a partition only after a batch of each of its others. A back-off or a gap is not
/// waited for: they last longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two replacements of a broken client: a group is not to be disturbed faster than it can
/// settle.
const REPLACE_AFTER: Duration = Duration::from_secs(1);

type Client = BaseConsumer<Context>;

/// The thread's body.
pub(super) fn run(
    config: &ClientConfig,
    spec: ConsumerSpec,
    answered_within: Duration,
    orders: &Receiver<Command>,
    reports: &UnboundedSender<ConsumerEvent>,
) {
    let (room, epochs) = (Arc::new(Room::default()), Arc::new(AtomicU64::new(0)));
    let mut stalls = Stalls::default();
    loop {
        let context =
            Context::new(&spec.group, reports.clone(), Arc::clone(&room), Arc::clone(&epochs));
        let client = match connect(config, &spec, context) {
            Ok(client) => client,
            Err(fault) => {
                drop(reports.send(ConsumerEvent::Failed(fault)));
                return;
            }
        };
        let mut poller = Poller::new(&spec, &room, client, answered_within, &mut stalls);
        match poller.poll_until_told(orders) {
            Ending::Close => return poller.close(),
            Ending::Replace(why) => poller.retire(&why),
        }
        if told_to_close_within(orders, REPLACE_AFTER) {
            drop(reports.send(ConsumerEvent::Closed { clean: true }));
            return;
        }
    }
}

fn connect(config: &ClientConfig, spec: &ConsumerSpec, context: Context) -> Result<Client, Fault> {
    const DOING: &str = "joining a consumer group";
    let client: Client =
        config.create_with_context(context).map_err(|error| classify(DOING, error))?;
    let topics: Vec<&str> = spec.topics.iter().map(|topic| &**topic).collect();
    client.subscribe(&topics).map_err(|error| classify(DOING, error))?;
    Ok(client)
}

/// While there is no client, orders other than "close" concern assignments that are gone.
fn told_to_close_within(orders: &Receiver<Command>, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match orders.recv_timeout(left) {
            Ok(Command::Close) => return true,
            Ok(Command::Commit(_) | Command::Restart { .. }) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => return false,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return true,
        }
    }
}

/// Whether no more records may be taken in for these partitions. What they may have waiting they have
/// together: who waits for one that is full keeps records from all, and a worker whose partitions are empty
/// would stand still beside one that has plenty. But none may have more than half, or one that stands still
/// would take the room of all.
fn is_over(limit: usize, waiting: impl Iterator<Item = usize>) -> bool {
    let (mut partitions, mut all, mut most) = (0, 0, 0);
    for one in waiting {
        (partitions, all, most) = (partitions + 1, all + one, one.max(most));
    }
    partitions > 0 && (all >= limit * partitions || most >= limit * (partitions / 2).max(1))
}

enum Ending {
    Close,
    Replace(String),
}

pub(super) struct Poller<'a> {
    pub(super) spec: &'a ConsumerSpec,
    room: &'a Room,
    pub(super) client: Client,
    commits: Commits,
    /// Since when brokers are in trouble, and when they were last asked.
    pub(super) trouble: Option<Instant>,
    /// Offsets are gone, and not every partition is known to be in range: when that was asked last.
    pub(super) doubted: Option<Instant>,
    /// Where bytes may not be as they were written, and the offset that was to be read next.
    pub(super) spoiled: Vec<(PartitionId, Option<i64>)>,
    /// A group that owes an answer for longer will not give it to this client.
    pub(super) answered_within: Duration,
    /// Outlives the client.
    pub(super) stalls: &'a mut Stalls,
}

impl<'a> Poller<'a> {
    fn new(
        spec: &'a ConsumerSpec,
        room: &'a Room,
        client: Client,
        answered_within: Duration,
        stalls: &'a mut Stalls,
    ) -> Self {
        let (commits, spoiled) = (Commits::default(), Vec::new());
        let (trouble, doubted) = (None, None);
        Self { spec, room, client, commits, trouble, doubted, spoiled, answered_within, stalls }
    }

    pub(super) fn context(&self) -> &Context {
        self.client.context()
    }

    fn poll_until_told(&mut self, orders: &Receiver<Command>) -> Ending {
        loop {
            if self.obey(orders) {
                return Ending::Close;
            }
            self.poll_chunk();
            self.hold_back();
            self.commit();
            self.probe();
            let broken = self.context().broken();
            if let Some(why) = broken.or_else(|| self.unanswered()).or_else(|| self.stalled()) {
                return Ending::Replace(why);
            }
        }
    }

    /// Carries out what was ordered; true when it is time to close.
    fn obey(&mut self, orders: &Receiver<Command>) -> bool {
        loop {
            match orders.try_recv() {
                Ok(Command::Close) | Err(TryRecvError::Disconnected) => return true,
                Ok(Command::Commit(progress)) => {
                    let holdings = self.client.context().holdings();
                    for one in progress {
                        self.commits.add(one, |id| holdings.epoch_of(id));
                    }
                }
                Ok(Command::Restart { id, epoch, at, again }) => {
                    self.restart(&id, epoch, at, again);
                }
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    fn poll_chunk(&mut self) {
        let mut deliveries: Vec<Delivery> = Vec::new();
        let mut timeout = POLL;
        for _ in 0..CHUNK {
            match self.client.poll(timeout) {
                None => break,
                Some(Ok(message)) => {
                    delivery::accept(self.client.context(), &message, &mut deliveries)
                }
                Some(Err(error)) => self.complain(error),
            }
            timeout = Duration::ZERO; // what is there already, and no more
        }
        if deliveries.is_empty() {
            return;
        }
        self.end_trouble();
        for delivery in deliveries {
            self.context().report(ConsumerEvent::Records(delivery));
        }
    }

    fn restart(&mut self, id: &PartitionId, epoch: u64, at: StartAt, again: bool) {
        {
            let mut holdings = self.context().holdings();
            let held = holdings.find(&id.topic, id.partition);
            let Some(held) = held.filter(|held| held.epoch == epoch) else { return };
            held.next_offset = None;
            held.pass += u32::from(again);
            held.paused = false;
            held.active_at = Instant::now();
        }
        let begun = self
            .client
            .incremental_unassign(&plain_list([id]))
            .and_then(|()| starting_list(&[(id.clone(), at)]))
            .and_then(|list| self.client.incremental_assign(&list));
        if let Err(error) = begun {
            self.complain(error);
        }
    }

    /// Pauses partitions whose backlog stays full while there is no room, and resumes those that drained.
    fn hold_back(&mut self) {
        let limit = self.spec.backlog_records;
        let context = self.client.context();
        let over = || {
            let holdings = context.holdings();
            let open = holdings.all.iter().filter(|held| !held.paused);
            is_over(limit, open.map(|held| held.backlog.waiting()))
        };
        let drained = !over() || self.room.wait_until(PATIENCE, || !over());
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for held in &mut context.holdings().all {
            let waiting = held.backlog.waiting();
            if !drained && !held.paused && waiting >= limit {
                held.paused = true;
                pause.push(held.id.clone());
            } else if held.paused && waiting <= limit / 2 {
                held.paused = false;
                held.active_at = Instant::now();
                resume.push(held.id.clone());
            }
        }
        for (ids, result) in [
            (&pause, (!pause.is_empty()).then(|| self.client.pause(&plain_list(&pause)))),
            (&resume, (!resume.is_empty()).then(|| self.client.resume(&plain_list(&resume)))),
        ] {
            if let Some(Err(error)) = result {
                warn!(kafka.group = self.spec.group, ?ids, %error, "pause or resume was refused");
            }
        }
    }

    fn commit(&mut self) {
        if !self.commits.any() {
            return;
        }
        let taken = {
            let holdings = self.client.context().holdings();
            self.commits.take(Instant::now(), |id| holdings.epoch_of(id))
        };
        let Some(offsets) = taken else { return };
        let sent =
            commits::list(&offsets).and_then(|list| self.client.commit(&list, CommitMode::Async));
        if let Err(error) = sent {
            debug!(kafka.group = self.spec.group, %error, "an offset commit was not sent");
        }
    }

    /// Gives everything back and takes the client down beside this thread: its drop waits for
    /// brokers that may not answer.
    fn retire(self, why: &str) {
        warn!(kafka.group = self.spec.group, reason = why, "the Kafka consumer is replaced");
        metrics::counter!(
            "factline_kafka_consumer_replacements_total", "group" => self.spec.group.clone()
        )
        .increment(1);
        let context = self.client.context();
        context.retired.store(true, Ordering::Relaxed);
        let ids = context.holdings().ids();
        if !ids.is_empty() {
            context.take_back(&ids, true);
        }
        let client = self.client;
        let thread = std::thread::Builder::new().name("kafka-consumer-drop".into());
        if let Err(error) = thread.spawn(move || drop(client)) {
            warn!(%error, "no thread to take a Kafka consumer down");
        }
    }

    /// Leaves the group: partitions are revoked through the callback, then the client is dropped.
    fn close(self) {
        let until = Instant::now() + self.spec.close_within;
        if let Err(error) = self.client.close_queue() {
            warn!(kafka.group = self.spec.group, %error, "closing the Kafka consumer");
        }
        while !self.client.closed() && Instant::now() < until {
            // Records that still come are discarded: nothing of them was committed.
            drop(self.client.poll(POLL));
        }
        let clean = self.client.closed();
        self.context().report(ConsumerEvent::Closed { clean });
        // May block when it was not clean; nobody waits for this thread any more.
        drop(self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_share_their_room_and_none_takes_more_than_half() {
        let over = |waiting: &[usize]| is_over(100, waiting.iter().copied());
        assert!(!over(&[]), "there is nothing to wait for");
        assert!(!over(&[99]) && over(&[100]));
        assert!(!over(&[99, 99]) && over(&[0, 100]), "half of two is one");
        assert!(!over(&[150, 0, 149, 99]), "who has more takes what others leave");
        assert!(over(&[150, 50, 100, 100]), "together they have no more");
        assert!(over(&[200, 0, 0, 0]), "one has half");
    }
}
