//! Between the polling thread and the workers: hands partitions out and takes them back, forwards
//! records, answers where to begin. Routes only, so the thread's channel stays short.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use factline_core::Fault;
use factline_kafka::{
    AssignedPartition, Consumer, ConsumerEvent, Delivery, PartitionId, Progress, Reply, StartAt,
};
use tokio::{
    sync::{mpsc::UnboundedSender, oneshot},
    time::{sleep, timeout},
};
use tracing::{error, warn};

use crate::{
    BeginAt, Condition, Projection,
    checkpoint::{self, Checkpoint},
    desk::Order,
    failure::{Class, class_of, class_of_fault},
    partition::{Hold, Partition},
    shared::Shared,
    status::Cause,
    trust::Trust,
};

/// How long checkpoints are asked for at an assignment: a database that comes back within it costs
/// no second rebalance. Below the thread's own patience.
const READ_WITHIN: Duration = Duration::from_secs(8);
const READ_AGAIN: Duration = Duration::from_millis(200);
/// How long workers may take to let partitions go.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct Coordinator<P: Projection> {
    pub(crate) shared: Arc<Shared<P>>,
    pub(crate) consumer: Consumer,
    /// Partition p belongs to worker p mod their number.
    pub(crate) workers: Vec<UnboundedSender<Order>>,
    /// Under which epoch each partition is held.
    pub(crate) epochs: HashMap<PartitionId, u64>,
}

/// The thread has reported its last event.
#[derive(Debug)]
pub(crate) enum Ended {
    Closed { clean: bool },
    Failed(Fault),
}

impl<P: Projection> Coordinator<P> {
    /// Deals with one event; says when it was the last.
    pub(crate) async fn handle(&mut self, event: ConsumerEvent) -> Option<Ended> {
        match event {
            ConsumerEvent::Assigned { epoch, partitions, reply } => {
                self.assign(epoch, &partitions, reply).await;
            }
            ConsumerEvent::Records(delivery) => self.forward(delivery),
            ConsumerEvent::Revoked { partitions, lost: _, reply } => {
                reply.send(self.take_back(&partitions).await);
            }
            ConsumerEvent::OffsetLost { partitions } => self.begin_again(&partitions),
            ConsumerEvent::Trouble(fault) => self.in_trouble(&fault),
            ConsumerEvent::Recovered => {
                self.shared.board.clear(&Cause::Kafka);
            }
            ConsumerEvent::Failed(fault) => return Some(Ended::Failed(fault)),
            ConsumerEvent::Closed { clean } => return Some(Ended::Closed { clean }),
        }
        None
    }

    /// Tells the workers to finish.
    pub(crate) fn stop_workers(&self) {
        for worker in &self.workers {
            // A worker that is gone has been noticed by whoever awaits it.
            drop(worker.send(Order::Stop));
        }
    }

    async fn assign(
        &mut self,
        epoch: u64,
        assigned: &[AssignedPartition],
        reply: Reply<Vec<(PartitionId, StartAt)>>,
    ) {
        let until = Instant::now() + READ_WITHIN;
        let checkpoints = loop {
            match self.checkpoints(assigned).await {
                Ok(checkpoints) => break checkpoints,
                Err(error) => {
                    let condition = match class_of(&error) {
                        Class::Config => Condition::Misconfigured,
                        Class::Transient | Class::Unknown | Class::Poison => Condition::Degraded,
                    };
                    let reason = format!("checkpoints cannot be read: {error}");
                    self.shared.board.set(Cause::Assignment, condition, reason);
                    if Instant::now() >= until {
                        return; // unanswered: the client gives the partitions back and joins anew
                    }
                    sleep(READ_AGAIN).await;
                }
            }
        };
        self.shared.board.clear(&Cause::Assignment);
        let mut starts = Vec::with_capacity(assigned.len());
        for partition in assigned {
            let found = checkpoints.iter().find(|one| one.id == partition.id);
            starts.push(self.hand_out(epoch, partition, found));
        }
        reply.send(starts);
    }

    async fn checkpoints(
        &self,
        assigned: &[AssignedPartition],
    ) -> Result<Vec<Checkpoint>, sqlx::Error> {
        let (pool, name) = (&self.shared.database, self.shared.name());
        let ids = || assigned.iter().map(|one| one.id.clone());
        let found = checkpoint::read(pool, name, ids()).await?;
        let is_new = |one: &&AssignedPartition| found.iter().all(|known| known.id != one.id);
        let new: Vec<_> = assigned.iter().filter(is_new).collect();
        if new.is_empty() || self.shared.settings.begin_at == BeginAt::Refuse {
            return Ok(found);
        }
        checkpoint::make(pool, name, &new).await?;
        checkpoint::read(pool, name, ids()).await
    }

    /// Gives a partition to its worker and says where it begins.
    fn hand_out(
        &mut self,
        epoch: u64,
        assigned: &AssignedPartition,
        checkpoint: Option<&Checkpoint>,
    ) -> (PartitionId, StartAt) {
        let id = assigned.id.clone();
        let mut hold = Hold::Free;
        if let Some(why) = refusal(assigned, checkpoint) {
            hold = Hold::Stopped;
            error!(projection = self.shared.name(), reason = why, "a partition is not consumed");
            self.shared.board.set(Cause::Partition(id.clone()), Condition::Stopped, why);
        }
        let mut partition = Partition::begin(epoch, assigned, checkpoint);
        partition.hold = hold;
        if let Some(deaths @ 1..) = checkpoint.map(|one| one.deaths) {
            let projection = self.shared.name();
            warn!(projection, partition = %id, deaths, "processes ended with its next batch in hand");
            partition.trust = Trust::after(deaths, self.shared.settings.batch_records);
        }
        let next_offset = partition.next_offset;
        self.epochs.insert(id.clone(), epoch);
        self.order(&id, Order::Assign(vec![partition]));
        (id, StartAt::next(next_offset))
    }

    fn forward(&self, delivery: Delivery) {
        let id = delivery.id.clone();
        self.order(&id, Order::Records(delivery));
    }

    async fn take_back(&mut self, ids: &[PartitionId]) -> Vec<Progress> {
        let mut replies = Vec::new();
        for (index, worker) in self.workers.iter().enumerate() {
            let mine = |id: &&PartitionId| worker_of(id, self.workers.len()) == index;
            let mine: Vec<_> = ids.iter().filter(mine).cloned().collect();
            if mine.is_empty() {
                continue;
            }
            let (reply, answer) = oneshot::channel();
            if worker.send(Order::Revoke { ids: mine, reply }).is_ok() {
                replies.push(answer);
            }
        }
        for id in ids {
            self.epochs.remove(id);
        }
        let answers = timeout(LET_GO_WITHIN, futures::future::join_all(replies)).await;
        let Ok(answers) = answers else {
            warn!(
                projection = self.shared.name(),
                "a worker did not let its partitions go in time"
            );
            return Vec::new();
        };
        answers.into_iter().filter_map(Result::ok).flatten().collect()
    }

    /// Retention has passed the next offset, or the topic was made anew. Positions tell what is
    /// missing, so reading begins at what there is, and the hole is refilled from the log; without
    /// a log to read from, the partition stands still at the hole.
    fn begin_again(&self, ids: &[PartitionId]) {
        for id in ids {
            let Some(epoch) = self.epochs.get(id) else { continue };
            warn!(
                projection = self.shared.name(),
                partition = %id,
                "the next offset is gone from the topic; reading begins at the oldest record"
            );
            metrics::counter!(
                "factline_projection_lost_offsets_total", "projection" => self.shared.name()
            )
            .increment(1);
            self.consumer.handle().restart(id.clone(), *epoch, StartAt::Beginning);
            self.order(id, Order::Lost { id: id.clone(), epoch: *epoch });
        }
    }

    fn in_trouble(&self, fault: &Fault) {
        let condition = match class_of_fault(fault) {
            Class::Config => Condition::Misconfigured,
            Class::Transient | Class::Unknown | Class::Poison => Condition::Degraded,
        };
        if self.shared.board.set(Cause::Kafka, condition, fault.to_string()) {
            warn!(projection = self.shared.name(), %fault, "Kafka is in trouble");
        }
    }

    fn order(&self, id: &PartitionId, order: Order) {
        if let Some(worker) = self.workers.get(worker_of(id, self.workers.len())) {
            // A worker that is gone has been noticed by whoever awaits it.
            drop(worker.send(order));
        }
    }
}

fn worker_of(id: &PartitionId, workers: usize) -> usize {
    usize::try_from(id.partition).unwrap_or(0) % workers.max(1)
}

/// Why a partition must not be consumed.
fn refusal(assigned: &AssignedPartition, checkpoint: Option<&Checkpoint>) -> Option<String> {
    let Some(checkpoint) = checkpoint else {
        return Some(format!("{} has no checkpoint, and begin_at refuses to begin", assigned.id));
    };
    (checkpoint.partitions != assigned.partitions).then(|| {
        format!(
            "{} has {} partitions and had {} when this projection began: streams have moved",
            assigned.id.topic, assigned.partitions, checkpoint.partitions
        )
    })
}

#[cfg(test)]
mod tests {
    use factline_core::Position;
    use factline_kafka::Backlog;

    use super::*;

    fn assigned(partitions: i32) -> AssignedPartition {
        let id = PartitionId { topic: "factline.parcel.v1".into(), partition: 0 };
        AssignedPartition { id, partitions, backlog: Backlog::detached() }
    }

    fn checkpoint(partitions: i32) -> Checkpoint {
        Checkpoint {
            id: assigned(1).id,
            position: Position(7),
            next_offset: Some(9),
            partitions,
            deaths: 0,
        }
    }

    #[test]
    fn a_topic_that_was_given_more_partitions_is_not_consumed() {
        assert_eq!(refusal(&assigned(8), Some(&checkpoint(8))), None);
        let why = refusal(&assigned(12), Some(&checkpoint(8))).unwrap();
        assert!(why.contains("12 partitions"), "{why}");
    }

    #[test]
    fn without_a_checkpoint_nothing_is_guessed() {
        assert!(refusal(&assigned(8), None).is_some());
    }

    #[test]
    fn a_partition_always_has_the_same_worker() {
        let id = |partition| PartitionId { topic: "t".into(), partition };
        let workers: Vec<_> = (0..5).map(|p| worker_of(&id(p), 2)).collect();
        assert_eq!(workers, [0, 1, 0, 1, 0]);
    }
}
