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
    error::KafkaError,
    message::{BorrowedMessage, Headers as _, Message as _},
    types::RDKafkaErrorCode,
};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{debug, warn};

use super::{
    Command, ConsumerEvent, ConsumerSpec, Delivery, PartitionId, StartAt,
    backlog::Room,
    commits::{self, Commits},
    context::{Context, plain_list, starting_list},
};
use crate::{Record, classify};

/// A poll returns as soon as a record comes; this is how late an order can be heard on an idle
/// topic.
const POLL: Duration = Duration::from_millis(20);
/// How many records go to the runtime in one piece: enough to make the channel's cost vanish, few
/// enough that the runtime starts on them at once.
const CHUNK: usize = 500;
/// How long a full backlog may hold the thread before its partition is paused. A pause throws the
/// client's prefetched records away, so a batch in the database (tens of milliseconds) is waited
/// for; a back-off or a gap is not.
const PATIENCE: Duration = Duration::from_millis(200);
/// Between two replacements of a broken client: a group is not to be disturbed faster than it can
/// settle.
const REPLACE_AFTER: Duration = Duration::from_secs(1);
/// How often brokers in trouble are asked whether they are back, and how long they may take.
const PROBE_EVERY: Duration = Duration::from_secs(1);
const PROBE_WITHIN: Duration = Duration::from_millis(500);

type Client = BaseConsumer<Context>;

/// The thread's body.
pub(super) fn run(
    config: &ClientConfig,
    spec: ConsumerSpec,
    orders: &Receiver<Command>,
    reports: &UnboundedSender<ConsumerEvent>,
) {
    let (room, epochs) = (Arc::new(Room::default()), Arc::new(AtomicU64::new(0)));
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
        let mut poller = Poller::new(&spec, &room, client);
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

enum Ending {
    Close,
    Replace(String),
}

struct Poller<'a> {
    spec: &'a ConsumerSpec,
    room: &'a Room,
    client: Client,
    commits: Commits,
    /// Since when brokers are in trouble, and when they were last asked.
    trouble: Option<Instant>,
}

impl<'a> Poller<'a> {
    fn new(spec: &'a ConsumerSpec, room: &'a Room, client: Client) -> Self {
        Self { spec, room, client, commits: Commits::default(), trouble: None }
    }

    fn context(&self) -> &Context {
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
            if let Some(why) = self.context().broken().or_else(|| self.stalled()) {
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
                Ok(Command::Restart { id, epoch, at }) => self.restart(&id, epoch, at),
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
                Some(Ok(message)) => accept(self.client.context(), &message, &mut deliveries),
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

    fn complain(&mut self, error: KafkaError) {
        let code = error.rdkafka_error_code();
        if matches!(
            code,
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
        ) {
            let partitions = self.out_of_range();
            warn!(kafka.group = self.spec.group, ?partitions, %error, "offsets are gone");
            return self.context().report(ConsumerEvent::OffsetLost { partitions });
        }
        debug!(kafka.group = self.spec.group, %error, "the consumer reports an error");
        self.context().troubled.store(true, Ordering::Relaxed);
        if self.trouble.replace(Instant::now()).is_none() {
            self.context().report(ConsumerEvent::Trouble(classify("consuming", error)));
        }
    }

    fn end_trouble(&mut self) {
        if self.trouble.take().is_some() {
            self.context().troubled.store(false, Ordering::Relaxed);
            self.context().report(ConsumerEvent::Recovered);
        }
    }

    /// The client does not say when brokers are back, and on an idle topic nothing else does.
    fn probe(&mut self) {
        if self.trouble.is_none_or(|asked| asked.elapsed() < PROBE_EVERY) {
            return;
        }
        self.trouble = Some(Instant::now());
        let healthy = self.spec.topics.iter().all(|topic| {
            let metadata = self.client.fetch_metadata(Some(topic), PROBE_WITHIN);
            metadata
                .is_ok_and(|metadata| metadata.topics().iter().all(|found| found.error().is_none()))
        });
        if healthy {
            self.end_trouble();
        }
    }

    /// The partitions whose next offset lies outside what the broker has; the client reports the
    /// error without saying whose it is.
    fn out_of_range(&self) -> Vec<PartitionId> {
        let held: Vec<_> = self
            .context()
            .holdings()
            .all
            .iter()
            .filter_map(|held| Some((held.id.clone(), held.next_offset?)))
            .collect();
        let gone = |(id, next): &(PartitionId, i64)| {
            let ends = self.client.fetch_watermarks(&id.topic, id.partition, PROBE_WITHIN);
            ends.is_ok_and(|(low, high)| *next < low || *next > high)
        };
        held.into_iter().filter(gone).map(|(id, _)| id).collect()
    }

    fn restart(&mut self, id: &PartitionId, epoch: u64, at: StartAt) {
        {
            let mut holdings = self.context().holdings();
            let held = holdings.find(&id.topic, id.partition);
            let Some(held) = held.filter(|held| held.epoch == epoch) else { return };
            held.next_offset = None;
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

    /// Pauses partitions whose backlog stays full, and resumes those that drained.
    fn hold_back(&mut self) {
        let limit = self.spec.backlog_records;
        let context = self.client.context();
        let over = || {
            let holdings = context.holdings();
            holdings.all.iter().any(|held| !held.paused && held.backlog.waiting() >= limit)
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

    /// Why the client counts as stalled: a partition has records, is not paused, and yields none.
    fn stalled(&self) -> Option<String> {
        let quiet = self.context().holdings().all.iter_mut().find_map(|held| {
            let quiet = !held.paused && held.active_at.elapsed() >= self.spec.stall_after;
            quiet.then(|| {
                held.active_at = Instant::now(); // asked once a period, not once a poll
                (held.id.clone(), held.next_offset)
            })
        });
        let (id, next) = quiet?;
        let ends = self.client.fetch_watermarks(&id.topic, id.partition, PROBE_WITHIN);
        let (low, high) = ends.ok()?; // brokers that are away are trouble, not a stall
        let lag = high - next.unwrap_or(low);
        (lag > 0).then(|| format!("stalled: {id} has {lag} records and yields none"))
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

fn accept(context: &Context, message: &BorrowedMessage<'_>, deliveries: &mut Vec<Delivery>) {
    let mut holdings = context.holdings();
    let Some(held) = holdings.find(message.topic(), message.partition()) else {
        return; // revoked while it was on its way
    };
    held.next_offset = Some(message.offset() + 1);
    held.active_at = Instant::now();
    held.backlog.delivered(1);
    let record = own(message, &held.id.topic);
    match deliveries.iter_mut().find(|one| one.id == held.id && one.epoch == held.epoch) {
        Some(delivery) => delivery.records.push(record),
        None => deliveries.push(Delivery {
            id: held.id.clone(),
            epoch: held.epoch,
            records: vec![record],
        }),
    }
}

fn own(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Record {
    let owned = |bytes: &[u8]| bytes::Bytes::copy_from_slice(bytes);
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|one| (one.key.to_owned(), one.value.map(owned))).collect()
    });
    Record {
        topic: Arc::clone(topic),
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(owned),
        value: message.payload().map(owned),
        headers,
        timestamp_ms: message.timestamp().to_millis(),
    }
}
