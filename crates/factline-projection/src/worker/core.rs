//! What a worker decides: which job comes next, and what one that ended changes. No I/O: the end of
//! a job flows in, partitions move or stand still, and an [`Outcome`] flows out for the worker to
//! tell.

use std::time::Instant;

use factline_core::DomainEvent;
use factline_kafka::{PartitionId, Progress};

use crate::{
    Condition, ProjectionSettings,
    attempt::Finished,
    batch::{Job, Standstill},
    checkpoint::Checkpoint,
    desk::Desk,
    failure::{Class, class_of_fault},
    partition::{Budget, Hold},
    settings::ms,
    status::Cause,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct WorkerCore {
    index: usize,
    pub(crate) desk: Desk,
    /// So many events are applied one by one, to find the one that the database refuses.
    single_steps: usize,
    /// Failures of the database in a row, and of these the ones that nobody has classified.
    attempts: u32,
    unknown_attempts: u32,
    retry_at: Option<Instant>,
}

/// What the end of a job means for the outside.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// For Kafka, now that the transaction is committed.
    pub(crate) progress: Vec<Progress>,
    /// Partitions that Kafka must bring again, each under which assignment and from which offset.
    pub(crate) again: Vec<(PartitionId, u64, Option<i64>)>,
    /// What no longer hinders.
    pub(crate) cured: Vec<Cause>,
    pub(crate) troubles: Vec<Trouble>,
    /// No worker may begin another batch.
    pub(crate) halts: bool,
}

/// Something that hinders.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) cause: Cause,
    pub(crate) condition: Condition,
    pub(crate) reason: String,
}

impl WorkerCore {
    pub(crate) fn new(index: usize) -> Self {
        Self {
            index,
            desk: Desk::default(),
            single_steps: 0,
            attempts: 0,
            unknown_attempts: 0,
            retry_at: None,
        }
    }

    /// Takes what may be applied next.
    pub(crate) fn next_job<E: DomainEvent>(
        &mut self,
        settings: &ProjectionSettings,
        now: Instant,
    ) -> Option<Job<E>> {
        if self.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        let records = if self.single_steps > 0 { 1 } else { settings.batch_records };
        let budget = Budget { records, bytes: settings.batch_bytes };
        let intakes = self.desk.take(budget, now, ms(settings.gap_wait_ms));
        (!intakes.is_empty()).then(|| Job::new(intakes))
    }

    /// When there may be a job though no order comes.
    pub(crate) fn due_at(&self, settings: &ProjectionSettings, now: Instant) -> Option<Instant> {
        let due = [self.retry_at, self.desk.due_at(ms(settings.gap_wait_ms))];
        due.into_iter().flatten().filter(|at| *at > now).min()
    }

    /// Takes in where the checkpoints stand. While nothing is written no compare-and-set tells that a
    /// crash of the server has taken one back, or that an operator has moved it.
    pub(crate) fn look(&mut self, checkpoints: Vec<Checkpoint>) -> Outcome {
        let mut outcome = Outcome::default();
        self.reload(checkpoints, &mut outcome);
        outcome
    }

    /// A job that was dropped in the middle: whatever it did is rolled back.
    pub(crate) fn abandon<E: DomainEvent>(&mut self, job: Job<E>) {
        self.give_back(job);
    }

    fn give_back<E: DomainEvent>(&mut self, job: Job<E>) {
        let assignments = job.assignments();
        self.desk.give_back(&assignments, job.dissolve());
    }

    /// Takes in how a job ended.
    pub(crate) fn finish<E: DomainEvent>(
        &mut self,
        mut job: Job<E>,
        finished: Finished,
        settings: &ProjectionSettings,
        now: Instant,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let standstills = std::mem::take(&mut job.standstills);
        if matches!(finished, Finished::Settled(_) | Finished::Nothing) {
            for (id, epoch, losses) in &job.made_up {
                if let Some(partition) = self.desk.held(id, *epoch) {
                    partition.made_up = *losses;
                }
            }
        }
        if matches!(finished, Finished::Settled(_)) {
            self.settle(job, &mut outcome);
        } else {
            let events = job.batch.events.len();
            self.give_back(job);
            self.set_back(finished, events, settings, now, &mut outcome);
        }
        for (id, standstill) in standstills {
            outcome.troubles.extend(self.stand_still(&id, standstill, settings, now));
        }
        outcome
    }

    fn settle<E: DomainEvent>(&mut self, mut job: Job<E>, outcome: &mut Outcome) {
        for slice in &job.batch.slices {
            if let Some(next_offset) = slice.next_offset {
                let (id, epoch) = (slice.id.clone(), slice.epoch);
                outcome.progress.push(Progress { id, epoch, next_offset });
            }
            if let Some(partition) = self.desk.held(&slice.id, slice.epoch) {
                partition.settle(slice.position, slice.next_offset, slice.records);
                outcome.cured.push(Cause::Partition(slice.id.clone()));
            }
        }
        self.single_steps = self.single_steps.saturating_sub(job.batch.events.len());
        (self.attempts, self.unknown_attempts, self.retry_at) = (0, 0, None);
        outcome.cured.push(Cause::Worker(self.index));
        self.desk.give_back(&job.assignments(), job.unopened());
    }

    /// Nothing was written, and the records are back in their queues. `events`: how many the batch
    /// had.
    fn set_back(
        &mut self,
        finished: Finished,
        events: usize,
        settings: &ProjectionSettings,
        now: Instant,
        outcome: &mut Outcome,
    ) {
        match finished {
            Finished::Nothing | Finished::Settled(_) => {}
            Finished::Refused(checkpoints) => self.reload(checkpoints, outcome),
            Finished::FindPoison => self.single_steps = events,
            Finished::Fork(id, position) => {
                let reason = format!("fork in {id}: position {position} holds another event now");
                if let Some(partition) = self.desk.get(&id) {
                    partition.hold = Hold::Stopped;
                }
                outcome.stopped(Cause::Partition(id), reason);
            }
            Finished::ParkedLimit(parked) => {
                let reason = format!("{parked} would be parked: over the limit");
                outcome.halts = true;
                outcome.stopped(Cause::Parked, reason);
            }
            Finished::Failed(class, reason) => self.fail(class, reason, settings, now, outcome),
        }
    }

    /// Another owner was faster: go on from where it came to. Or the database's server has crashed and
    /// taken back its last transactions: then the partition begins anew from what is left of them.
    fn reload(&mut self, checkpoints: Vec<Checkpoint>, outcome: &mut Outcome) {
        for checkpoint in checkpoints {
            let Some(partition) = self.desk.get(&checkpoint.id) else { continue };
            if checkpoint.position < partition.applied {
                partition.begin_again(&checkpoint);
                outcome.again.push((checkpoint.id, partition.epoch, checkpoint.next_offset));
            } else {
                partition.applied = checkpoint.position;
            }
        }
    }

    fn fail(
        &mut self,
        class: Class,
        reason: String,
        settings: &ProjectionSettings,
        now: Instant,
        outcome: &mut Outcome,
    ) {
        self.attempts = self.attempts.saturating_add(1);
        let cause = Cause::Worker(self.index);
        let (condition, wait) = match class {
            Class::Config => (Condition::Misconfigured, ms(settings.config_retry_ms)),
            Class::Transient => (Condition::Degraded, settings.back_off(self.attempts)),
            Class::Unknown | Class::Poison => {
                self.unknown_attempts += 1;
                if self.unknown_attempts >= settings.unknown_error_attempts {
                    outcome.halts = true;
                    return outcome.stopped(cause, reason);
                }
                (Condition::Degraded, settings.back_off(self.attempts))
            }
        };
        self.retry_at = Some(now + wait);
        outcome.troubles.push(Trouble { cause, condition, reason });
    }

    fn stand_still(
        &mut self,
        id: &PartitionId,
        standstill: Standstill,
        settings: &ProjectionSettings,
        now: Instant,
    ) -> Option<Trouble> {
        let partition = self.desk.get(id)?;
        partition.attempts = partition.attempts.saturating_add(1);
        let slowly = ms(settings.config_retry_ms);
        let (condition, wait, reason) = match standstill {
            Standstill::Gap(why) => (Condition::Stopped, slowly, format!("gap in {id}: {why}")),
            Standstill::Failed(fault) => {
                let reason = format!("{id}: {fault}");
                match class_of_fault(&fault) {
                    Class::Transient => {
                        (Condition::Degraded, settings.back_off(partition.attempts), reason)
                    }
                    Class::Config => (Condition::Misconfigured, slowly, reason),
                    Class::Poison | Class::Unknown => (Condition::Stopped, slowly, reason),
                }
            }
        };
        partition.hold = Hold::BackOff { until: now + wait };
        Some(Trouble { cause: Cause::Partition(id.clone()), condition, reason })
    }
}

impl Outcome {
    fn stopped(&mut self, cause: Cause, reason: String) {
        self.troubles.push(Trouble { cause, condition: Condition::Stopped, reason });
    }
}
