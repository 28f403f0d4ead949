//! A projector's process: its client, which believes that it holds partitions, and its workers.

use std::collections::{BTreeMap, VecDeque};

use factline_kafka::{AssignedPartition, Backlog, Delivery, Progress};
use tokio::sync::oneshot;

use super::{
    group::{self, Member},
    history::{PARTITIONS, index_of, partition_id},
    outside::Outside,
    tally::Happening,
    worker::Worker,
};
use crate::{desk::Order, partition::Partition, trust::Trust};

/// See the module.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) member: Member,
    /// It does nothing, and has not noticed.
    pub(super) frozen: bool,
    epoch: u64,
    holdings: BTreeMap<usize, Holding>,
    /// Fetched, and not with a worker yet.
    fetched: VecDeque<Delivery>,
    workers: Vec<Worker>,
}

/// A partition in the client's hands.
#[derive(Debug)]
struct Holding {
    epoch: u64,
    pass: u32,
    /// The next offset to fetch.
    next: usize,
}

impl Process {
    pub(super) fn start(member: Member, workers: usize) -> Self {
        let first = (member.1 * 8 + u64::try_from(member.0).unwrap()) * 8;
        let id = |index| first + u64::try_from(index).unwrap();
        let workers = (0..workers).map(|index| Worker::new(id(index), index)).collect();
        let (holdings, fetched) = (BTreeMap::new(), VecDeque::new());
        Self { member, frozen: false, epoch: 0, holdings, fetched, workers }
    }

    pub(super) fn holds(&self, partition: usize) -> bool {
        self.holdings.contains_key(&partition)
    }

    pub(super) fn workers(&self) -> usize {
        self.workers.len()
    }

    fn worker(&mut self, partition: usize) -> &mut Worker {
        let count = self.workers.len();
        &mut self.workers[partition % count]
    }

    /// The group gives it a partition: it begins at the checkpoint.
    pub(super) fn assign(&mut self, outside: &mut Outside, partition: usize) {
        if self.holds(partition) {
            drop(self.revoke(outside, partition)); // that was lost, as it hears only now
        }
        let (id, checkpoint) = (partition_id(partition), outside.database.checkpoint(partition));
        let partitions = i32::try_from(PARTITIONS).unwrap();
        let assigned = AssignedPartition { id, partitions, backlog: Backlog::detached() };
        self.epoch += 1;
        let mut begun = Partition::begin(self.epoch, &assigned, Some(&checkpoint));
        if outside.fault(10) {
            outside.count(Happening::AssignedUnderSuspicion);
            let deaths = if outside.chance(50) { 1 } else { 2 };
            begun.trust = Trust::after(deaths, outside.settings.batch_records);
        }
        let next = usize::try_from(begun.next_offset.unwrap_or(0)).unwrap();
        outside.say(|| format!("group: {:?} is given {partition}, {checkpoint:?}", self.member));
        self.holdings.insert(partition, Holding { epoch: self.epoch, pass: 0, next });
        self.worker(partition).inbox.push_back(Order::Assign(vec![begun]));
    }

    /// It hears that it must give a partition back, or has lost it.
    pub(super) fn revoke(
        &mut self,
        outside: &mut Outside,
        partition: usize,
    ) -> oneshot::Receiver<Vec<Progress>> {
        outside.say(|| format!("group: {:?} must let {partition} go", self.member));
        self.holdings.remove(&partition);
        let (reply, answer) = oneshot::channel();
        let ids = vec![partition_id(partition)];
        self.worker(partition).inbox.push_back(Order::Revoke { ids, reply });
        answer
    }

    pub(super) fn fetch(&mut self, outside: &mut Outside, most: usize) {
        for (partition, holding) in &mut self.holdings {
            let lane = &outside.lanes[*partition];
            if holding.next < lane.oldest {
                holding.next = lane.oldest; // as after `OffsetLost`
                outside.tally.count(Happening::RetentionPassedAnOffset, 1);
                let (id, epoch) = (partition_id(*partition), holding.epoch);
                let worker = *partition % self.workers.len();
                self.workers[worker].inbox.push_back(Order::Lost { id, epoch });
            }
            let end = lane.topic.len().min(holding.next + most);
            let record = |offset| lane.record(outside.history, *partition, offset);
            let records: Vec<_> = (holding.next..end).map(record).collect();
            if !records.is_empty() {
                let (id, epoch) = (partition_id(*partition), holding.epoch);
                self.fetched.push_back(Delivery { id, epoch, pass: holding.pass, records });
                holding.next = end;
            }
        }
    }

    pub(super) fn forward(&mut self) {
        if let Some(delivery) = self.fetched.pop_front() {
            let partition = index_of(delivery.id.partition);
            self.worker(partition).inbox.push_back(Order::Records(delivery));
        }
    }

    pub(super) fn work(&mut self, outside: &mut Outside, worker: usize) {
        let outcome = self.workers[worker].turn(outside);
        for (id, epoch, next_offset) in outcome.again {
            let holding = self.holdings.get_mut(&index_of(id.partition));
            if let Some(holding) = holding.filter(|holding| holding.epoch == epoch) {
                holding.next = usize::try_from(next_offset.unwrap_or(0)).unwrap();
                holding.pass += 1;
                outside.count(Happening::BegunAgain);
            }
        }
        for progress in outcome.progress {
            // As the client does it: progress of an assignment that has ended is dropped.
            let holding = self.holdings.get(&index_of(progress.id.partition));
            if holding.is_some_and(|holding| holding.epoch == progress.epoch) {
                group::commit(outside, self.member, &progress.id, progress.next_offset);
            } else {
                outside.count(Happening::OldProgressDropped);
            }
        }
    }

    pub(super) fn freeze(&mut self, outside: &mut Outside) {
        outside.say(|| format!("process {:?}: frozen", self.member));
        outside.count(Happening::Frozen);
        self.frozen = true;
    }

    pub(super) fn thaw(&mut self, outside: &Outside) {
        outside.say(|| format!("process {:?}: thaws", self.member));
        self.frozen = false;
    }

    /// The database ends the transactions of a process that stands still.
    pub(super) fn end_transactions(&self, outside: &mut Outside) {
        for worker in &self.workers {
            worker.end_transaction(outside);
        }
    }

    /// It is killed, and another one started.
    pub(super) fn crash(&mut self, outside: &mut Outside) {
        outside.say(|| format!("process {:?}: killed", self.member));
        let (index, nth) = self.member;
        let next = Self::start((index, nth + 1), self.workers.len());
        for worker in std::mem::replace(self, next).workers {
            worker.crash(outside);
        }
    }

    /// Nothing is left to do for it.
    pub(super) fn is_quiet(&self, outside: &Outside) -> bool {
        let fetched =
            |(lane, holding): (&usize, &Holding)| holding.next == outside.lanes[*lane].topic.len();
        self.fetched.is_empty()
            && self.holdings.iter().all(fetched)
            && self.workers.iter().all(Worker::is_quiet)
    }
}
