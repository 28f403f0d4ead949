//! The client's callbacks: they run inside poll, on the polling thread, and answer a rebalance
//! together with the runtime.
//!
//! `rebalance` alone is overridden, so it must assign and unassign itself; every return code is
//! looked at. When it cannot (the runtime did not say where to begin, the client refused) it marks
//! the client as broken, and the thread replaces it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext},
    error::{KafkaError, KafkaResult},
    types::{RDKafkaErrorCode, RDKafkaRespErr},
};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{debug, info, warn};

use super::{
    AssignedPartition, Backlog, ConsumerEvent, PartitionId, Progress, Reply, StartAt,
    backlog::Room,
    commits,
    held::{Held, Holdings},
};
use crate::context::{log_client_error, log_client_line};

/// The runtime reads its checkpoints in this time, one lost database connection included. Far below
/// the poll interval, so that the member stays in its group.
const START_WITHIN: Duration = Duration::from_secs(10);
/// The runtime finishes or abandons its transaction in 2 s; the rest is for the message to arrive.
const STOP_WITHIN: Duration = Duration::from_millis(2_500);
/// One metadata request, answered from the broker that just assigned the partitions.
const METADATA_WITHIN: Duration = Duration::from_secs(3);

/// Callbacks and what they share with the poll loop.
pub(super) struct Context {
    group: String,
    reports: UnboundedSender<ConsumerEvent>,
    room: Arc<Room>,
    /// Shared by every client of this consumer, so that an epoch never comes twice.
    epochs: Arc<AtomicU64>,
    holdings: Mutex<Holdings>,
    broken: Mutex<Option<String>>,
    /// Since when the group owes this member an answer: it has been joined, or partitions have gone back, and
    /// it has not said what the member is to have. Nothing at all is an answer too.
    awaited_since: Mutex<Option<Instant>>,
    /// Brokers are known to be away: a synchronous commit would only wait for them.
    pub(super) troubled: AtomicBool,
    /// A replaced client may call back while it is taken down; it has nothing to say any more.
    pub(super) retired: AtomicBool,
}

impl Context {
    pub(super) fn new(
        group: &str,
        reports: UnboundedSender<ConsumerEvent>,
        room: Arc<Room>,
        epochs: Arc<AtomicU64>,
    ) -> Self {
        Self {
            group: group.to_owned(),
            reports,
            room,
            epochs,
            holdings: Mutex::default(),
            broken: Mutex::default(),
            awaited_since: Mutex::new(Some(Instant::now())),
            troubled: AtomicBool::new(false),
            retired: AtomicBool::new(false),
        }
    }

    pub(super) fn holdings(&self) -> MutexGuard<'_, Holdings> {
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why this client must be replaced, if it must.
    pub(super) fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For how long the group has not said what this member is to have.
    pub(super) fn awaited_for(&self) -> Option<Duration> {
        self.awaited_since().map(|since| since.elapsed())
    }

    /// Brokers are back: only now can the group answer.
    pub(super) fn await_anew(&self) {
        if let Some(since) = &mut *self.awaited_since() {
            *since = Instant::now();
        }
    }

    fn awaited_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.awaited_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn report(&self, event: ConsumerEvent) {
        // A runtime that is gone needs no report; its Close command follows.
        drop(self.reports.send(event));
    }

    fn break_down(&self, why: impl std::fmt::Display) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.get_or_insert_with(|| why.to_string());
    }

    fn assign(&self, client: &BaseConsumer<Self>, list: &TopicPartitionList) {
        *self.awaited_since() = None;
        let ids = ids_of(list);
        let starts =
            if ids.is_empty() { Ok(Vec::new()) } else { self.ask_for_starts(client, &ids) };
        let assigned = starts.and_then(|starts| {
            let explicit = starting_list(&starts).map_err(|error| error.to_string())?;
            client.incremental_assign(&explicit).map_err(|error| error.to_string())
        });
        if let Err(why) = assigned {
            self.break_down(format!("assignment failed: {why}"));
            // The protocol wants an answer; the client is replaced before it reads anything.
            if let Err(error) = client.incremental_assign(list) {
                debug!(kafka.group = self.group, %error, "answering a failed assignment");
            }
        }
    }

    fn ask_for_starts(
        &self,
        client: &BaseConsumer<Self>,
        ids: &[PartitionId],
    ) -> Result<Vec<(PartitionId, StartAt)>, String> {
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed) + 1;
        let mut partitions = Vec::with_capacity(ids.len());
        for id in ids {
            let known =
                partitions.iter().find(|other: &&AssignedPartition| other.id.topic == id.topic);
            let count = match known {
                Some(other) => other.partitions,
                None => partition_count(client, &id.topic)?,
            };
            let backlog = Backlog::new(Arc::clone(&self.room));
            partitions.push(AssignedPartition { id: id.clone(), partitions: count, backlog });
        }
        let (reply, answer) = sync_channel(1);
        self.report(ConsumerEvent::Assigned {
            epoch,
            partitions: partitions.clone(),
            reply: Reply(reply),
        });
        let starts = wait(&answer, START_WITHIN).ok_or("the runtime did not say where to begin")?;
        let mut holdings = self.holdings();
        for assigned in partitions {
            let start = starts.iter().find(|(id, _)| *id == assigned.id);
            let (_, start) = start.ok_or_else(|| format!("no start for {}", assigned.id))?;
            holdings.insert(Held {
                pass: 0,
                id: assigned.id,
                epoch,
                backlog: assigned.backlog,
                next_offset: match start {
                    StartAt::Beginning => None,
                    StartAt::Offset(offset) => Some(*offset),
                },
                paused: false,
                active_at: Instant::now(),
            });
        }
        info!(kafka.group = self.group, partitions = %spell(ids), epoch, "partitions assigned");
        Ok(starts)
    }

    fn revoke(&self, client: &BaseConsumer<Self>, list: &TopicPartitionList) {
        *self.awaited_since() = Some(Instant::now()); // the client joins anew, or is told the rest
        let ids = ids_of(list);
        let lost = client.assignment_lost();
        let progress = if ids.is_empty() { Vec::new() } else { self.take_back(&ids, lost) };
        if !lost && !progress.is_empty() && !self.troubled.load(Ordering::Relaxed) {
            let offsets: Vec<_> = progress.into_iter().map(|p| (p.id, p.next_offset)).collect();
            let committed =
                commits::list(&offsets).and_then(|list| client.commit(&list, CommitMode::Sync));
            if let Err(error) = committed {
                // The checkpoint in the database is what counts; the next owner begins there.
                warn!(kafka.group = self.group, %error, "the last offsets were not committed");
            }
        }
        if let Err(error) = client.incremental_unassign(list) {
            self.break_down(format!("giving partitions back failed: {error}"));
        }
    }

    /// Tells the runtime that partitions go, and waits until it has stopped working on them.
    pub(super) fn take_back(&self, ids: &[PartitionId], lost: bool) -> Vec<Progress> {
        self.holdings().remove(ids);
        let (reply, answer) = sync_channel(1);
        self.report(ConsumerEvent::Revoked { partitions: ids.to_vec(), lost, reply: Reply(reply) });
        let progress = wait(&answer, STOP_WITHIN);
        if progress.is_none() {
            warn!(kafka.group = self.group, "the runtime did not let go of its partitions in time");
        }
        info!(kafka.group = self.group, partitions = %spell(ids), lost, "partitions given back");
        progress.unwrap_or_default()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_client_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_client_error(&error, reason);
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        client: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if self.retired.load(Ordering::Relaxed) {
            if let Err(error) = client.unassign() {
                debug!(kafka.group = self.group, %error, "a replaced client unassigns");
            }
            return;
        }
        match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(client, list),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.revoke(client, list),
            other => self.break_down(format!("rebalance: {}", RDKafkaErrorCode::from(other))),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            // A group in motion refuses commits; the next one follows the next batch.
            debug!(kafka.group = self.group, %error, "an offset commit was refused");
            metrics::counter!("factline_kafka_commit_failures_total", "group" => self.group.clone())
                .increment(1);
        }
    }
}

fn partition_count(client: &BaseConsumer<Context>, topic: &str) -> Result<i32, String> {
    let metadata =
        client.fetch_metadata(Some(topic), METADATA_WITHIN).map_err(|error| error.to_string())?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let count = found.map_or(0, |found| found.partitions().len());
    i32::try_from(count).map_err(|error| error.to_string())
}

fn wait<T>(answer: &Receiver<T>, deadline: Duration) -> Option<T> {
    answer.recv_timeout(deadline).ok()
}

fn ids_of(list: &TopicPartitionList) -> Vec<PartitionId> {
    let elements = list.elements();
    let id = |e: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| PartitionId {
        topic: e.topic().into(),
        partition: e.partition(),
    };
    elements.iter().map(id).collect()
}

pub(super) fn starting_list(starts: &[(PartitionId, StartAt)]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(starts.len());
    for (id, start) in starts {
        let offset = match start {
            // Of a broken build alone: what lies before the end is never read.
            _ if factline_failpoints::is_broken("reset_to_latest") => Offset::End,
            StartAt::Beginning => Offset::Beginning,
            StartAt::Offset(next) => Offset::Offset(*next),
        };
        list.add_partition_offset(&id.topic, id.partition, offset)?;
    }
    Ok(list)
}

pub(super) fn plain_list<'a>(ids: impl IntoIterator<Item = &'a PartitionId>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for id in ids {
        list.add_partition(&id.topic, id.partition);
    }
    list
}

fn spell(ids: &[PartitionId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
