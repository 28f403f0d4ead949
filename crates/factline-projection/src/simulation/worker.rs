//! A worker in the simulated world: the real [`WorkerCore`] and the real [`Job`], with a turn of the
//! world between any two of its steps, where production has its awaits.

use std::collections::VecDeque;

use factline_codec::StoredEvent;
use factline_core::Fault;

use super::{
    database::{self, Staged, broken_connection},
    history::{Nature, index_of},
    outside::Outside,
    tally::Happening,
};
use crate::{
    Condition,
    attempt::{Finished, judge},
    batch::{Job, Need},
    desk::Order,
    failure::Class,
    reading::Opened,
    schemas::Bad,
    testing::{Lost, ParcelEvent},
    transaction::{Setback, Settled},
    worker::core::{Outcome, WorkerCore},
};

/// See the module.
#[derive(Debug)]
pub(super) struct Worker {
    /// A name for its transactions that no other worker of any process has.
    id: u64,
    pub(super) core: WorkerCore,
    pub(super) inbox: VecDeque<Order>,
    phase: Phase,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    InHand(Job<ParcelEvent>),
    InTransaction(Job<ParcelEvent>, Staged),
    /// Committed, and nobody knows it yet.
    Committed(Job<ParcelEvent>, Settled),
}

impl Worker {
    pub(super) fn new(id: u64, index: usize) -> Self {
        let (inbox, phase) = (VecDeque::new(), Phase::Idle);
        Self { id, core: WorkerCore::new(index), inbox, phase }
    }

    pub(super) fn is_quiet(&self) -> bool {
        matches!(self.phase, Phase::Idle) && self.inbox.is_empty() && self.core.desk.queued() == 0
    }

    /// One step. What it returns is for Kafka.
    pub(super) fn turn(&mut self, outside: &mut Outside) -> Outcome {
        self.hear(outside);
        match std::mem::take(&mut self.phase) {
            Phase::Idle => self.begin(outside),
            Phase::InHand(job) | Phase::InTransaction(job, _) | Phase::Committed(job, _)
                if self.gives_up(outside) =>
            {
                outside.say(|| format!("worker {}: abandons its batch", self.id));
                outside.count(Happening::Abandoned);
                outside.database.unlock(self.id);
                self.core.abandon(job);
                Outcome::default()
            }
            Phase::InHand(job) => self.write(outside, job),
            Phase::InTransaction(job, staged) => self.commit(outside, job, staged),
            Phase::Committed(job, settled) => self.finish(outside, job, Finished::Settled(settled)),
        }
    }

    /// Between two transactions everything, during one what has come so far.
    fn hear(&mut self, outside: &mut Outside) {
        let idle = matches!(self.phase, Phase::Idle);
        let heard = if idle { self.inbox.len() } else { outside.pick(0..self.inbox.len() + 1) };
        for order in self.inbox.drain(..heard) {
            if let Order::Records(delivery) = &order
                && self.core.desk.held(&delivery.id, delivery.epoch).is_none()
            {
                outside.count(Happening::OldDeliveryDropped);
            }
            self.core.desk.hear(order);
        }
    }

    fn gives_up(&self, outside: &mut Outside) -> bool {
        self.core.desk.is_pressed() && outside.fault(20)
    }

    fn begin(&mut self, outside: &mut Outside) -> Outcome {
        self.core.desk.let_go();
        let waiting = self.core.desk.queued();
        let Some(mut job) = self.core.next_job(&outside.settings, outside.now) else {
            self.count_dropped(outside, waiting, 0);
            return self.look(outside);
        };
        self.count_dropped(outside, waiting, job.waiting());
        while answer(outside, &mut job) {
            if self.gives_up(outside) {
                outside.count(Happening::Abandoned);
                self.core.abandon(job);
                return Outcome::default();
            }
        }
        if job.batch.is_empty() {
            return self.finish(outside, job, Finished::Nothing);
        }
        outside.say(|| format!("worker {}: takes {}", self.id, spell(&job)));
        self.phase = Phase::InHand(job);
        Outcome::default()
    }

    /// With nothing to do it looks where its checkpoints are, now and then.
    fn look(&mut self, outside: &mut Outside) -> Outcome {
        if !outside.chance(30) {
            return Outcome::default();
        }
        let ids = self.core.desk.ids().into_iter();
        let found = ids.map(|id| outside.database.checkpoint(index_of(id.partition)));
        self.core.look(found.collect())
    }

    fn count_dropped(&self, outside: &mut Outside, waiting: usize, taken: usize) {
        let dropped = waiting - taken - self.core.desk.queued();
        outside.tally.count(Happening::RanAheadDropped, dropped);
    }

    /// As `attempt::run`: again without what was found out, or ended.
    fn write(&mut self, outside: &mut Outside, mut job: Job<ParcelEvent>) -> Outcome {
        if let Err(holder) = outside.database.lock(self.id, &job.batch.slices) {
            outside.say(|| format!("worker {}: waits for worker {holder}", self.id));
            outside.count(Happening::LockAwaited);
            self.phase = Phase::InHand(job);
            return Outcome::default();
        }
        let mut panics = 0;
        loop {
            let setback = match database::write(outside, &job) {
                Ok(staged) => {
                    self.phase = Phase::InTransaction(job, staged);
                    return Outcome::default();
                }
                Err(setback) => setback,
            };
            outside.say(|| format!("worker {}: {setback:?}", self.id));
            match judge(&mut job, setback, &mut panics) {
                Some(finished) => {
                    outside.database.unlock(self.id);
                    return self.finish(outside, job, finished);
                }
                None if panics == 1 => outside.count(Happening::PanicTriedAgain),
                None => {}
            }
        }
    }

    fn commit(
        &mut self,
        outside: &mut Outside,
        mut job: Job<ParcelEvent>,
        staged: Staged,
    ) -> Outcome {
        let setback: Setback = if !outside.database.knows(self.id) {
            outside.count(Happening::IdleTransactionEnded);
            broken_connection()
        } else if outside.fault(3) {
            outside.count(Happening::CommitFailed);
            broken_connection()
        } else {
            database::commit(outside, &staged);
            outside.say(|| format!("worker {}: commits {}", self.id, spell(&job)));
            if job.refilled > 0 {
                outside.count(Happening::GapRefilled);
            }
            if !outside.fault(3) {
                outside.database.unlock(self.id);
                self.phase = Phase::Committed(job, staged.settled);
                return Outcome::default();
            }
            outside.count(Happening::CommitAnswerLost);
            broken_connection()
        };
        outside.database.unlock(self.id);
        outside.say(|| format!("worker {}: loses its connection", self.id));
        match judge(&mut job, setback, &mut 0) {
            Some(finished) => self.finish(outside, job, finished),
            None => panic!("a lost connection is no reason for another transaction at once"),
        }
    }

    fn finish(
        &mut self,
        outside: &mut Outside,
        job: Job<ParcelEvent>,
        finished: Finished,
    ) -> Outcome {
        let finished = match finished {
            Finished::Refused(_) => {
                outside.count(Happening::CheckpointRefused);
                refused(outside, &job)
            }
            Finished::FindPoison => {
                outside.count(Happening::PoisonLookedForOneByOne);
                Finished::FindPoison
            }
            other => other,
        };
        let outcome = self.core.finish(job, finished, &outside.settings, outside.now);
        assert!(!outcome.halts, "{:?}", outcome.troubles);
        for trouble in &outcome.troubles {
            assert_ne!(trouble.condition, Condition::Stopped, "{}", trouble.reason);
            outside.say(|| format!("worker {}: {}", self.id, trouble.reason));
        }
        outcome
    }

    /// The process is killed.
    pub(super) fn crash(self, outside: &mut Outside) {
        outside.database.unlock(self.id);
        outside.count(match self.phase {
            Phase::Idle => Happening::CrashedWithNothingUnderWay,
            Phase::InHand(_) => Happening::CrashedWithABatchInHand,
            Phase::InTransaction(..) => Happening::CrashedInATransaction,
            Phase::Committed(..) => Happening::CrashedAfterACommit,
        });
    }

    /// The database ends a transaction whose owner stands still.
    pub(super) fn end_transaction(&self, outside: &mut Outside) {
        outside.database.unlock(self.id);
    }
}

/// Answers what a job needs next, as schemas and log do in production; false when it needs nothing.
fn answer(outside: &mut Outside, job: &mut Job<ParcelEvent>) -> bool {
    match job.need() {
        None => return false,
        Some(Need::Data { record, envelope, .. }) => {
            let at = (index_of(record.partition), envelope.position.0);
            job.opened(open(outside, at));
        }
        Some(Need::History { id, after, missing }) => {
            let found = history(outside, index_of(id.partition), after.0, missing);
            job.found(found, "the log does not have them", |stored| {
                let envelope = &stored.envelope;
                decode(outside.nature(index_of(envelope.partition), envelope.position.0))
            });
        }
    }
    true
}

fn history(
    outside: &mut Outside,
    lane: usize,
    after: i64,
    missing: i64,
) -> Result<Vec<StoredEvent>, Fault> {
    if outside.fault(15) {
        outside.count(Happening::LogNotToBeRead);
        return Err(Fault::transient("reading the log", "it is away"));
    }
    let last = outside.lanes[lane].head.min(after + missing);
    Ok((after + 1..=last).map(|position| outside.history.event(lane, position).clone()).collect())
}

/// Where the checkpoints stand that somebody else has moved.
fn refused(outside: &mut Outside, job: &Job<ParcelEvent>) -> Finished {
    if outside.fault(5) {
        outside.count(Happening::CheckpointsNotToBeRead);
        return Finished::Failed(Class::Transient, "the database is away".into());
    }
    let lanes = job.batch.slices.iter().map(|slice| index_of(slice.id.partition));
    Finished::Refused(lanes.map(|lane| outside.database.checkpoint(lane)).collect())
}

fn open(outside: &mut Outside, (partition, position): (usize, i64)) -> Opened<ParcelEvent> {
    if outside.fault(2) {
        outside.count(Happening::SchemaNotToBeHad);
        return Opened::Wait(Fault::transient("looking for a schema", "the registry is away"));
    }
    match decode(outside.nature(partition, position)) {
        Ok(event) => Opened::Event(event),
        Err(bad) => Opened::Unreadable(bad),
    }
}

fn decode(nature: Nature) -> Result<ParcelEvent, Bad> {
    match nature {
        Nature::Unreadable => Err(Bad { code: "unreadable", detail: String::new() }),
        Nature::Harmless | Nature::Named | Nature::Refused | Nature::Panics => {
            Ok(ParcelEvent::Lost(Lost { reason: String::new() }))
        }
    }
}

fn spell(job: &Job<ParcelEvent>) -> String {
    let slice = |slice: &crate::checkpoint::Slice| {
        let (from, to, offset) = (slice.expected, slice.position, slice.next_offset);
        format!("{} {from}..={to} to offset {offset:?}", slice.id.partition)
    };
    job.batch.slices.iter().map(slice).collect::<Vec<_>>().join(", ")
}
