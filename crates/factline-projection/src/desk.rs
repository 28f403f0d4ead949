//! A worker's partitions and the orders about them. No I/O: orders are heard while a transaction is
//! under way, and take effect between two.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use factline_kafka::{Delivery, PartitionId, Progress};
use tokio::sync::oneshot;

use crate::partition::{Budget, Hold, Incoming, Intake, Partition};

/// What the coordinator tells a worker.
#[derive(Debug)]
pub(crate) enum Order {
    Assign(Vec<Partition>),
    Records(Delivery),
    /// The partition's next offset was gone from the topic.
    Lost {
        id: PartitionId,
        epoch: u64,
    },
    Revoke {
        ids: Vec<PartitionId>,
        reply: oneshot::Sender<Vec<Progress>>,
    },
    Stop,
}

/// Partitions that somebody waits for, each under the assignment that ends: under a later one it may
/// be here again before there was time to let it go, and then it stays.
#[derive(Debug)]
struct Leaving {
    partitions: Vec<(PartitionId, Option<u64>)>,
    reply: oneshot::Sender<Vec<Progress>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    partitions: BTreeMap<PartitionId, Partition>,
    leaving: Vec<Leaving>,
    stopping: bool,
    /// Which partition comes first in the next batch, so that a full one does not starve others.
    turn: usize,
}

impl Desk {
    pub(crate) fn hear(&mut self, order: Order) {
        match order {
            Order::Assign(partitions) => {
                let named = partitions.into_iter().map(|one| (one.id.clone(), one));
                self.partitions.extend(named);
            }
            Order::Records(delivery) => {
                // Records of an assignment that has ended come again to its next owner.
                if let Some(partition) = self.held(&delivery.id, delivery.epoch) {
                    partition.accept(delivery.pass, delivery.records);
                }
            }
            Order::Lost { id, epoch } => {
                if let Some(partition) = self.held(&id, epoch) {
                    partition.losses += 1;
                }
            }
            Order::Revoke { ids, reply } => {
                let under = |id: PartitionId| {
                    let epoch = self.partitions.get(&id).map(|one| one.epoch);
                    (id, epoch)
                };
                let partitions = ids.into_iter().map(under).collect();
                self.leaving.push(Leaving { partitions, reply });
            }
            Order::Stop => self.stopping = true,
        }
    }

    /// Somebody waits for the transaction under way to end.
    pub(crate) fn is_pressed(&self) -> bool {
        self.stopping || !self.leaving.is_empty()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Gives up the partitions that were asked for; call it when no work is under way.
    pub(crate) fn let_go(&mut self) -> Vec<PartitionId> {
        let mut gone = Vec::new();
        for Leaving { partitions, reply } in self.leaving.drain(..) {
            let mut progress = Vec::new();
            for (id, epoch) in partitions {
                if self.partitions.get(&id).map(|one| one.epoch) != epoch {
                    continue;
                }
                let left = self.partitions.remove(&id);
                progress.extend(left.and_then(|partition| partition.progress()));
                gone.push(id);
            }
            // A coordinator that no longer waits has reported "not in time" already.
            drop(reply.send(progress));
        }
        gone
    }

    /// Takes the next batch's records from all partitions that have some.
    pub(crate) fn take(
        &mut self,
        mut budget: Budget,
        now: Instant,
        gap_wait: Duration,
    ) -> Vec<Intake> {
        let count = self.partitions.len();
        if count == 0 {
            return Vec::new();
        }
        let first = self.turn % count;
        self.turn = self.turn.wrapping_add(1);
        let mut ready: Vec<_> = self.partitions.values_mut().collect();
        ready.rotate_left(first);
        let mut intakes = Vec::new();
        for partition in ready {
            let alone = partition.trust.is_alone();
            if alone && !intakes.is_empty() {
                continue; // until it comes first
            }
            intakes.extend(partition.take(&mut budget, now, gap_wait));
            if alone && !intakes.is_empty() {
                break;
            }
        }
        intakes
    }

    /// Puts records back in front of their partitions, where those are still held under the assignments
    /// that the records were taken under: a new one brings them by itself.
    pub(crate) fn give_back(
        &mut self,
        assignments: &HashMap<PartitionId, u64>,
        incoming: Vec<Incoming>,
    ) {
        let mut by_partition: HashMap<PartitionId, Vec<Incoming>> = HashMap::new();
        for one in incoming {
            let (topic, partition) = (one.record.topic.clone(), one.record.partition);
            by_partition.entry(PartitionId { topic, partition }).or_default().push(one);
        }
        for (id, incoming) in by_partition {
            let epoch = assignments.get(&id).copied();
            if let Some(partition) = epoch.and_then(|epoch| self.held(&id, epoch)) {
                partition.give_back(incoming);
            }
        }
    }

    /// Every partition.
    pub(crate) fn ids(&self) -> Vec<PartitionId> {
        self.partitions.keys().cloned().collect()
    }

    /// Of every partition, when the oldest event was recorded that is not visible yet.
    pub(crate) fn waiting(
        &self,
    ) -> impl Iterator<Item = (PartitionId, Option<DateTime<Utc>>)> + '_ {
        self.partitions.values().map(|one| (one.id.clone(), one.waiting_since()))
    }

    /// The partition, when it is still held under this assignment.
    pub(crate) fn held(&mut self, id: &PartitionId, epoch: u64) -> Option<&mut Partition> {
        self.partitions.get_mut(id).filter(|partition| partition.epoch == epoch)
    }

    /// The partition, under whatever assignment.
    pub(crate) fn get(&mut self, id: &PartitionId) -> Option<&mut Partition> {
        self.partitions.get_mut(id)
    }

    /// How many records wait in all queues.
    #[cfg(test)]
    pub(crate) fn queued(&self) -> usize {
        self.partitions.values().map(|one| one.queue.len()).sum()
    }

    /// When a partition that stands still for a time is due.
    pub(crate) fn due_at(&self, gap_wait: Duration) -> Option<Instant> {
        let waiting = self.partitions.values().filter(|one| one.hold != Hold::Stopped);
        waiting.filter_map(|one| one.due_at(gap_wait)).min()
    }
}

#[cfg(test)]
mod tests {
    use factline_kafka::{AssignedPartition, Backlog};

    use super::*;
    use crate::{testing::TOPIC, trust::Trust};

    fn id() -> PartitionId {
        PartitionId { topic: TOPIC.into(), partition: 0 }
    }

    fn assigned(epoch: u64) -> Order {
        let assigned = AssignedPartition { id: id(), partitions: 1, backlog: Backlog::detached() };
        Order::Assign(vec![Partition::begin(epoch, &assigned, None)])
    }

    fn revoke(desk: &mut Desk) -> oneshot::Receiver<Vec<Progress>> {
        let (reply, answer) = oneshot::channel();
        desk.hear(Order::Revoke { ids: vec![id()], reply });
        answer
    }

    #[test]
    fn a_partition_that_may_kill_is_alone_in_its_batch_and_has_its_turn() {
        let budget = Budget { records: 100, bytes: 1_000_000 };
        for (deaths, records) in [(1, 4), (2, 1)] {
            let mut desk = Desk::default();
            for number in 0..3 {
                let id = PartitionId { topic: TOPIC.into(), partition: number };
                let backlog = Backlog::detached();
                let assigned = AssignedPartition { id, partitions: 3, backlog };
                let mut partition = Partition::begin(1, &assigned, None);
                let may_kill = number == 1;
                partition.trust = if may_kill { Trust::after(deaths, 10) } else { Trust::Full };
                partition.queue = (0..4).map(|offset| foreign(number, offset)).collect();
                desk.hear(Order::Assign(vec![partition]));
            }
            let mut turn = || {
                let taken = desk.take(budget, Instant::now(), Duration::ZERO);
                taken.iter().map(|i| (i.id.partition, i.incoming.len())).collect::<Vec<_>>()
            };
            assert_eq!(turn(), [(0, 4), (2, 4)]);
            assert_eq!(turn(), [(1, records)], "after {deaths} deaths");
        }
    }

    fn foreign(partition: i32, offset: i64) -> Incoming {
        let record = factline_kafka::Record {
            topic: TOPIC.into(),
            partition,
            offset,
            key: None,
            value: None,
            headers: Vec::new(),
            timestamp_ms: None,
        };
        Incoming::read(record)
    }

    #[test]
    fn a_revoked_partition_goes_when_no_work_is_under_way() {
        let mut desk = Desk::default();
        desk.hear(assigned(1));
        let mut answer = revoke(&mut desk);
        assert!(desk.is_pressed() && desk.held(&id(), 1).is_some());
        assert_eq!(desk.let_go(), [id()]);
        assert!(answer.try_recv().is_ok() && desk.get(&id()).is_none());
    }

    #[test]
    fn a_partition_that_comes_again_before_it_was_let_go_stays() {
        let mut desk = Desk::default();
        desk.hear(assigned(1));
        let mut answer = revoke(&mut desk);
        desk.hear(assigned(2));
        assert_eq!(desk.let_go(), []);
        assert!(desk.held(&id(), 2).is_some(), "the group believes that it is consumed here");
        assert_eq!(answer.try_recv(), Ok(vec![]), "of the old assignment nothing is known");
    }
}
