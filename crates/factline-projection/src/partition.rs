//! One assigned partition in memory: what waits, how far it has come, why it stands still.
//!
//! Records flow in as they were polled; [`Partition::take`] hands out those that may be applied
//! next, in order, and stops at the first that may not.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use factline_core::{Envelope, Position};
use factline_kafka::{
    AssignedPartition, Backlog, HeaderFault, PartitionId, Progress, Record, next_offset,
    read_envelope,
};

use crate::{
    checkpoint::Checkpoint,
    classify::{Place, place},
    trust::Trust,
};

/// A record with what its key and headers say.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) record: Record,
    pub(crate) envelope: Result<Envelope, HeaderFault>,
}

impl Incoming {
    pub(crate) fn read(record: Record) -> Self {
        let envelope = read_envelope(&record);
        Self { record, envelope }
    }

    fn position(&self) -> Option<Position> {
        self.envelope.as_ref().ok().map(|envelope| envelope.position)
    }

    fn bytes(&self) -> usize {
        let size = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
        size(&self.record.key) + size(&self.record.value)
    }
}

/// Why a partition is left out of the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It is not.
    Free,
    /// Positions are missing before its next record.
    Gap { since: Instant },
    /// Something that it needs failed; again at this time.
    BackOff { until: Instant },
    /// Until an operator acts and the partition is assigned anew.
    Stopped,
}

/// Records that may be applied next.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) id: PartitionId,
    pub(crate) epoch: u64,
    pub(crate) partitions: i32,
    pub(crate) expected: Position,
    pub(crate) incoming: VecDeque<Incoming>,
    /// Read so many events from the log first: they are missing.
    pub(crate) refill: Option<i64>,
    /// There may be fewer, or none: then so many losses of the partition are made up for.
    pub(crate) open_end: Option<u32>,
    /// It leaves a mark while it is in hand; so many processes have ended with what it begins with.
    pub(crate) deaths: Option<u32>,
}

/// What is left of a batch's limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) id: PartitionId,
    pub(crate) epoch: u64,
    /// Of its topic.
    pub(crate) partitions: i32,
    pub(crate) applied: Position,
    pub(crate) next_offset: Option<i64>,
    pub(crate) hold: Hold,
    /// Failures in a row.
    pub(crate) attempts: u32,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) queue: VecDeque<Incoming>,
    /// The highest position that was dropped because it ran ahead.
    pub(crate) ran_ahead: Position,
    /// When the log recorded the oldest of those.
    ran_ahead_since: Option<DateTime<Utc>>,
    /// When the log recorded the oldest event that was taken and is not visible yet.
    in_hand_since: Option<DateTime<Utc>>,
    /// How often its next offset was gone from the topic. What was behind it only the log knows.
    pub(crate) losses: u32,
    /// Of these, how many the log has been asked about, up to its end.
    pub(crate) made_up: u32,
    /// How often it has begun again. Records that were fetched before are not taken: among them may
    /// be repeats and foreign records whose offsets are behind events that must come once more.
    pass: u32,
    pub(crate) trust: Trust,
}

impl Budget {
    fn is_spent(self) -> bool {
        self.records == 0 || self.bytes == 0
    }
}

impl Partition {
    /// A partition at the beginning of an assignment: the checkpoint says where, never the broker.
    pub(crate) fn begin(
        epoch: u64,
        assigned: &AssignedPartition,
        checkpoint: Option<&Checkpoint>,
    ) -> Self {
        Self {
            id: assigned.id.clone(),
            epoch,
            partitions: assigned.partitions,
            applied: checkpoint.map_or(Position::ZERO, |one| one.position),
            next_offset: checkpoint.and_then(|one| one.next_offset),
            hold: Hold::Free,
            attempts: 0,
            backlog: Arc::clone(&assigned.backlog),
            queue: VecDeque::new(),
            ran_ahead: Position::ZERO,
            ran_ahead_since: None,
            in_hand_since: None,
            losses: 0,
            made_up: 0,
            pass: 0,
            trust: Trust::after(0, 0),
        }
    }

    pub(crate) fn accept(&mut self, pass: u32, records: Vec<Record>) {
        if pass != self.pass {
            return self.backlog.taken(records.len()); // behind what comes once more
        }
        self.queue.extend(records.into_iter().map(Incoming::read));
    }

    /// Takes what may be applied next, within the budget. `None` when there is nothing.
    pub(crate) fn take(
        &mut self,
        budget: &mut Budget,
        now: Instant,
        gap_wait: std::time::Duration,
    ) -> Option<Intake> {
        // Without a budget it goes on waiting for what it waits for.
        if budget.is_spent() || self.stands_still(now) {
            return None;
        }
        if self.trust.goes_step_by_step() {
            budget.records = 1;
        }
        let mut intake = self.empty_intake();
        if self.losses > self.made_up {
            // Before any offset is passed: the next owner would not know that there was a loss.
            intake.open_end = Some(self.losses);
            let most = std::mem::take(&mut budget.records);
            intake.refill = Some(i64::try_from(most).unwrap_or(i64::MAX));
            return Some(intake);
        }
        let mut running = self.applied;
        let mut at_gap = false;
        while !budget.is_spent() {
            let missing = match self.queue.front().map(Incoming::position) {
                None => self.ran_ahead.0 - running.0,
                Some(None) => 0,
                Some(Some(position)) => match place(running, position) {
                    Place::Repeat => 0,
                    Place::Next => {
                        running = running.next();
                        0
                    }
                    Place::Jump { .. } if self.drop_what_ran_ahead(running) => continue,
                    Place::Jump { missing } => missing,
                },
            };
            at_gap = missing > 0;
            if at_gap {
                intake.refill = self.wait_or_refill(missing, running, budget, now, gap_wait);
                break;
            }
            let Some(one) = self.queue.pop_front() else { break };
            budget.records -= 1;
            budget.bytes = budget.bytes.saturating_sub(one.bytes());
            intake.incoming.push_back(one);
        }
        if !at_gap {
            self.hold = Hold::Free;
        }
        self.in_hand_since = intake.since();
        (!intake.incoming.is_empty() || intake.refill.is_some()).then_some(intake)
    }

    fn stands_still(&self, now: Instant) -> bool {
        match self.hold {
            Hold::Stopped => true,
            Hold::BackOff { until } => now < until,
            Hold::Free | Hold::Gap { .. } => false,
        }
    }

    fn empty_intake(&self) -> Intake {
        Intake {
            id: self.id.clone(),
            epoch: self.epoch,
            partitions: self.partitions,
            expected: self.applied,
            incoming: VecDeque::new(),
            refill: None,
            open_end: None,
            deaths: self.trust.deaths(),
        }
    }

    /// When the missing position has come behind records that ran ahead of it, those come again
    /// after it: the relay sends everything from its cursor. So they are dropped here. Should they
    /// not come (what arrived was a straggler, and retention took the rest), the log has them.
    fn drop_what_ran_ahead(&mut self, running: Position) -> bool {
        let next = running.next();
        let Some(arrived) = self.queue.iter().position(|one| one.position() == Some(next)) else {
            return false;
        };
        let before = self.queue.len();
        for envelope in self.queue.range(..arrived).filter_map(|one| one.envelope.as_ref().ok()) {
            self.ran_ahead = self.ran_ahead.max(envelope.position);
            let since = self.ran_ahead_since.get_or_insert(envelope.recorded_at);
            *since = envelope.recorded_at.min(*since);
        }
        let mut index = 0;
        self.queue.retain(|one| {
            let keep = index >= arrived || one.position().is_none_or(|at| at < next);
            index += 1;
            keep
        });
        self.backlog.taken(before - self.queue.len());
        true
    }

    /// Only a gap that the partition has reached is waited for: `running` is then what it applied.
    /// Events of the log count against the budget as records do.
    fn wait_or_refill(
        &mut self,
        missing: i64,
        running: Position,
        budget: &mut Budget,
        now: Instant,
        gap_wait: std::time::Duration,
    ) -> Option<i64> {
        let since = match self.hold {
            Hold::Gap { since } => since,
            Hold::Free | Hold::BackOff { .. } | Hold::Stopped => now,
        };
        self.hold = Hold::Gap { since };
        let due = now.duration_since(since) >= gap_wait && running == self.applied;
        due.then(|| {
            let most = usize::try_from(missing).unwrap_or(usize::MAX).min(budget.records);
            budget.records -= most;
            i64::try_from(most).unwrap_or(i64::MAX)
        })
    }

    /// Puts records back in front, in the order of their offsets.
    pub(crate) fn give_back(&mut self, mut incoming: Vec<Incoming>) {
        self.in_hand_since = None;
        incoming.sort_by_key(|one| one.record.offset);
        for one in incoming.into_iter().rev() {
            self.queue.push_front(one);
        }
    }

    /// A batch took it to here.
    pub(crate) fn settle(&mut self, applied: Position, next_offset: Option<i64>, records: usize) {
        let moved = usize::try_from(applied.0 - self.applied.0).unwrap_or(0);
        self.trust = self.trust.settled(moved);
        self.applied = applied;
        self.next_offset = next_offset.or(self.next_offset);
        self.attempts = 0;
        self.in_hand_since = None;
        if applied >= self.ran_ahead {
            self.ran_ahead_since = None;
        }
        self.backlog.taken(records);
    }

    /// What is waiting stands behind records that must come first again.
    pub(crate) fn begin_again(&mut self, checkpoint: &Checkpoint) {
        self.backlog.taken(self.queue.len());
        self.queue.clear();
        self.pass += 1;
        self.applied = checkpoint.position;
        self.next_offset = checkpoint.next_offset;
        self.hold = Hold::Free;
        self.ran_ahead = Position::ZERO;
        self.ran_ahead_since = None;
    }

    pub(crate) fn progress(&self) -> Option<Progress> {
        let next_offset = self.next_offset?;
        Some(Progress { id: self.id.clone(), epoch: self.epoch, next_offset })
    }

    /// When it is worth looking at again, if it stands still for a time.
    pub(crate) fn due_at(&self, gap_wait: std::time::Duration) -> Option<Instant> {
        match self.hold {
            Hold::Gap { since } => Some(since + gap_wait),
            Hold::BackOff { until } => Some(until),
            Hold::Free | Hold::Stopped => None,
        }
    }
}

/// The offset of the record behind this one.
pub(crate) fn offset_behind(incoming: &Incoming) -> i64 {
    next_offset(&incoming.record)
}

mod waiting;

#[cfg(test)]
mod tests;
