//! A worker: takes what is there of all its partitions into one transaction, again and again.
//!
//! Law of the batch: what arrived while the last transaction was under way is the next one. No
//! timer anywhere; idle latency is one commit, and under load the batches grow by themselves.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use factline_kafka::{Committer, Progress};
use sqlx::PgConnection;
use tokio::{sync::mpsc::UnboundedReceiver, time::sleep_until};
use tracing::warn;

use crate::{
    Projection,
    attempt::{self, Finished},
    batch::Job,
    checkpoint::Checkpoint,
    desk::{Desk, Order},
    meters,
    partition::Budget,
    settings::ms,
    shared::Shared,
    status::Cause,
    transaction::Settled,
};

/// How long a transaction may go on when its partitions are asked for. The coordinator allows 2 s
/// in all.
const FINISH_WITHIN: Duration = Duration::from_millis(1_500);

/// See the module.
pub(crate) struct Worker<P: Projection> {
    pub(crate) shared: Arc<Shared<P>>,
    pub(crate) index: usize,
    inbox: UnboundedReceiver<Order>,
    committer: Committer,
    pub(crate) desk: Desk,
    session: Option<PgConnection>,
    /// So many events are applied one by one, to find the one that the database refuses.
    single_steps: usize,
    /// Failures of the database in a row, and of these the ones that nobody has classified.
    pub(crate) attempts: u32,
    pub(crate) unknown_attempts: u32,
    pub(crate) retry_at: Option<Instant>,
}

impl<P: Projection> Worker<P> {
    pub(crate) fn new(
        shared: Arc<Shared<P>>,
        index: usize,
        inbox: UnboundedReceiver<Order>,
        committer: Committer,
    ) -> Self {
        Self {
            shared,
            index,
            inbox,
            committer,
            desk: Desk::default(),
            session: None,
            single_steps: 0,
            attempts: 0,
            unknown_attempts: 0,
            retry_at: None,
        }
    }

    /// Works until told to stop. A transaction under way is finished first, or abandoned in time.
    pub(crate) async fn run(mut self) {
        while !self.desk.is_stopping() {
            while let Ok(order) = self.inbox.try_recv() {
                self.desk.hear(order);
            }
            for id in self.desk.let_go() {
                self.shared.board.clear(&Cause::Partition(id));
            }
            match self.next_job() {
                Some(job) => self.work(job).await,
                None => self.wait().await,
            }
        }
        self.shared.board.clear(&Cause::Worker(self.index));
    }

    fn next_job(&mut self) -> Option<Job<P::Event>> {
        let (now, settings) = (Instant::now(), &self.shared.settings);
        if self.shared.halted.load(Ordering::Relaxed) || self.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        let records = if self.single_steps > 0 { 1 } else { settings.batch_records };
        let budget = Budget { records, bytes: settings.batch_bytes };
        let intakes = self.desk.take(budget, now, ms(settings.gap_wait_ms));
        (!intakes.is_empty()).then(|| Job::new(intakes))
    }

    async fn wait(&mut self) {
        let due = [self.retry_at, self.desk.due_at(ms(self.shared.settings.gap_wait_ms))];
        let due = due.into_iter().flatten().filter(|at| *at > Instant::now()).min();
        let sleep = sleep_until(due.unwrap_or_else(Instant::now).into());
        tokio::select! {
            order = self.inbox.recv() => self.desk.hear(order.unwrap_or(Order::Stop)),
            () = sleep, if due.is_some() => {}
        }
    }

    async fn work(&mut self, mut job: Job<P::Event>) {
        let Some(finished) = self.attempt(&mut job).await else {
            self.session = None; // it was in the middle of something
            warn!(projection = self.shared.name(), "a transaction was abandoned: partitions go");
            return self.desk.give_back(job.dissolve());
        };
        let standstills = std::mem::take(&mut job.standstills);
        match finished {
            Finished::Nothing => self.desk.give_back(job.dissolve()),
            Finished::Settled(settled) => self.settle(job, settled),
            Finished::Refused(checkpoints) => {
                self.desk.give_back(job.dissolve());
                self.reload(&checkpoints);
            }
            Finished::FindPoison => {
                self.single_steps = job.batch.events.len();
                self.desk.give_back(job.dissolve());
            }
            Finished::Fork(id, position) => {
                self.desk.give_back(job.dissolve());
                let what = format!("fork in {id}: position {position} holds another event now");
                self.stop(&id, what);
            }
            Finished::ParkedLimit { streams, events } => {
                self.desk.give_back(job.dissolve());
                self.halt(
                    Cause::Parked,
                    format!(
                        "{streams} streams and {events} events would be parked: over the limit"
                    ),
                );
            }
            Finished::Failed(class, reason) => {
                self.desk.give_back(job.dissolve());
                self.fail(class, reason);
            }
        }
        for (id, standstill) in standstills {
            self.stand_still(&id, standstill);
        }
    }

    /// Runs a job while orders are heard. `None`: it was abandoned, because somebody could wait no
    /// longer for its partitions.
    async fn attempt(&mut self, job: &mut Job<P::Event>) -> Option<Finished> {
        let running = attempt::run(&*self.shared, &mut self.session, job);
        let mut running = pin!(running);
        let mut until: Option<Instant> = None;
        loop {
            let abandon = sleep_until(until.unwrap_or_else(Instant::now).into());
            tokio::select! {
                finished = &mut running => return Some(finished),
                order = self.inbox.recv() => {
                    self.desk.hear(order.unwrap_or(Order::Stop));
                    if self.desk.is_pressed() {
                        until.get_or_insert_with(|| Instant::now() + FINISH_WITHIN);
                    }
                }
                () = abandon, if until.is_some() => return None,
            }
        }
    }

    fn settle(&mut self, mut job: Job<P::Event>, settled: Settled) {
        let mut progress = Vec::with_capacity(job.batch.slices.len());
        for slice in &job.batch.slices {
            meters::position(self.shared.name(), &slice.id, slice.position);
            if let Some(next_offset) = slice.next_offset {
                let (id, epoch) = (slice.id.clone(), slice.epoch);
                progress.push(Progress { id, epoch, next_offset });
            }
            if let Some(partition) = self.desk.held(&slice.id, slice.epoch) {
                partition.settle(slice.position, slice.next_offset, slice.records);
                self.clear(&Cause::Partition(slice.id.clone()));
            }
        }
        self.committer.commit(progress);
        self.shared.moved.send_modify(|commits| *commits = commits.wrapping_add(1));
        meters::settled(self.shared.name(), settled, job.refilled);
        self.tell_parked(&job, settled);
        self.single_steps = self.single_steps.saturating_sub(job.batch.events.len());
        (self.attempts, self.unknown_attempts, self.retry_at) = (0, 0, None);
        self.clear(&Cause::Worker(self.index));
        self.desk.give_back(job.unopened());
    }

    /// Another owner was faster: go on from where it came to.
    fn reload(&mut self, checkpoints: &[Checkpoint]) {
        meters::refused(self.shared.name());
        for checkpoint in checkpoints {
            let Some(partition) = self.desk.get(&checkpoint.id) else { continue };
            warn!(
                projection = self.shared.name(),
                partition = %checkpoint.id,
                expected = partition.applied.0,
                found = checkpoint.position.0,
                "a checkpoint was moved by another owner; nothing was written"
            );
            partition.applied = checkpoint.position;
        }
    }
}
