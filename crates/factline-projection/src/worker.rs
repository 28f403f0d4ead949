//! A worker: takes what is there of all its partitions into one transaction, again and again.
//!
//! Law of the batch: what arrived while the last transaction was under way is the next one. No
//! timer anywhere; idle latency is one commit, and under load the batches grow by themselves.
//!
//! [`WorkerCore`] decides, without I/O; what is here runs transactions, hears orders and tells.

pub(crate) mod core;

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use chrono::Utc;
use factline_kafka::{ConsumerHandle, StartAt};
use sqlx::PgConnection;
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{sleep_until, timeout},
};
use tracing::{debug, warn};

use crate::{
    Projection,
    attempt::{self, Finished},
    batch::Job,
    checkpoint,
    desk::Order,
    meters,
    settings::ms,
    shared::Shared,
    status::Cause,
    transaction::Settled,
    trust,
};

use self::core::{Outcome, WorkerCore};

/// How long a transaction may go on when its partitions are asked for. The coordinator allows 2 s
/// in all.
const FINISH_WITHIN: Duration = Duration::from_millis(1_500);

/// See the module.
pub(crate) struct Worker<P: Projection> {
    pub(crate) shared: Arc<Shared<P>>,
    pub(crate) index: usize,
    inbox: UnboundedReceiver<Order>,
    consumer: ConsumerHandle,
    /// Decides; this type does what it says.
    pub(crate) core: WorkerCore,
    session: Option<PgConnection>,
    /// When the checkpoints are looked at, should nothing be written until then.
    look_at: Instant,
}

/// Somebody may wait for the partitions, and has waited for the transaction already.
const TAKE_AWAY_WITHIN: Duration = Duration::from_millis(300);
/// A look at a few rows that takes longer is one that fails.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

impl<P: Projection> Worker<P> {
    pub(crate) fn new(
        shared: Arc<Shared<P>>,
        index: usize,
        inbox: UnboundedReceiver<Order>,
        consumer: ConsumerHandle,
    ) -> Self {
        let (core, look_at) = (WorkerCore::new(index), Instant::now());
        Self { shared, index, inbox, consumer, core, session: None, look_at }
    }

    /// Works until told to stop. A transaction under way is finished first, or abandoned in time.
    pub(crate) async fn run(mut self) {
        while !self.core.desk.is_stopping() {
            while let Ok(order) = self.inbox.try_recv() {
                self.core.desk.hear(order);
            }
            for id in self.core.desk.let_go() {
                self.shared.lateness.forget(self.shared.name(), &id);
                self.shared.board.clear(&Cause::Partition(id));
            }
            let job = self.next_job();
            self.shared.lateness.note(self.core.desk.waiting());
            match job {
                Some(job) => self.work(job).await,
                None => self.wait().await,
            }
        }
        self.shared.board.clear(&Cause::Worker(self.index));
    }

    fn next_job(&mut self) -> Option<Job<P::Event>> {
        if self.shared.halted.load(Ordering::Relaxed) {
            return None;
        }
        self.core.next_job(&self.shared.settings, Instant::now())
    }

    async fn wait(&mut self) {
        let due = self.core.due_at(&self.shared.settings, Instant::now());
        let due = due.map_or(self.look_at, |due| due.min(self.look_at));
        tokio::select! {
            order = self.inbox.recv() => self.core.desk.hear(order.unwrap_or(Order::Stop)),
            () = sleep_until(due.into()) => self.look().await,
        }
    }

    /// Looks at the checkpoints when that is due: an idle partition would not notice that its own was
    /// moved.
    async fn look(&mut self) {
        if Instant::now() < self.look_at {
            return;
        }
        self.look_again_later();
        let ids = self.core.desk.ids().into_iter();
        let reading = checkpoint::read(&self.shared.database, self.shared.name(), ids);
        match timeout(LOOK_WITHIN, reading).await {
            Ok(Ok(found)) => {
                let outcome = self.core.look(found);
                self.carry_out(outcome);
            }
            // Whoever needs the database says that it is away; here the next look will do.
            Ok(Err(error)) => debug!(projection = self.shared.name(), %error, "no look"),
            Err(_) => debug!(projection = self.shared.name(), "no look in time"),
        }
    }

    fn look_again_later(&mut self) {
        self.look_at = Instant::now() + ms(self.shared.settings.config_retry_ms);
    }

    async fn work(&mut self, mut job: Job<P::Event>) {
        let finished = self.attempt(&mut job).await;
        self.take_marks_away(&mut job).await;
        let Some(finished) = finished else {
            self.session = None; // it was in the middle of something
            warn!(projection = self.shared.name(), "a transaction was abandoned: partitions go");
            return self.core.abandon(job);
        };
        match &finished {
            Finished::Settled(settled) => self.tell_settled(&job, *settled),
            Finished::Refused(checkpoints) => self.tell_refused(checkpoints),
            Finished::Nothing
            | Finished::FindPoison
            | Finished::Fork(..)
            | Finished::ParkedLimit(_)
            | Finished::Failed(..) => {}
        }
        let outcome = self.core.finish(job, finished, &self.shared.settings, Instant::now());
        self.carry_out(outcome);
    }

    /// Whatever became of the job, this process has outlived it.
    async fn take_marks_away(&self, job: &mut Job<P::Event>) {
        let Some(turn) = job.turn.take() else { return };
        let (database, name) = (&self.shared.database, self.shared.name());
        let marks = job.marks();
        let taking = trust::take_away(database, name, &marks);
        // One that stays makes the next owner careful, and no more.
        match timeout(TAKE_AWAY_WITHIN, taking).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(projection = name, %error, "marks stay"),
            Err(_) => debug!(projection = name, "marks stay: no answer in time"),
        }
        drop(turn);
    }

    fn carry_out(&mut self, outcome: Outcome) {
        if !outcome.progress.is_empty() {
            self.consumer.commit(outcome.progress);
        }
        for (id, epoch, next_offset) in outcome.again {
            meters::taken_back(self.shared.name());
            self.consumer.read_again(id, epoch, StartAt::next(next_offset));
        }
        for cause in &outcome.cured {
            self.clear(cause);
        }
        if outcome.halts {
            self.shared.halted.store(true, Ordering::Relaxed);
        }
        for trouble in outcome.troubles {
            self.report(trouble);
        }
    }

    fn tell_settled(&self, job: &Job<P::Event>, settled: Settled) {
        let now = Utc::now();
        for slice in &job.batch.slices {
            meters::position(self.shared.name(), &slice.id, slice.position);
            if let Some(oldest) = slice.oldest_recorded_at {
                meters::visible(self.shared.name(), &slice.id, oldest, now);
            }
        }
        self.shared.moved.send_modify(|commits| *commits = commits.wrapping_add(1));
        meters::settled(self.shared.name(), settled, job.refilled);
        self.tell_parked(job, settled);
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
                    self.core.desk.hear(order.unwrap_or(Order::Stop));
                    self.shared.lateness.note(self.core.desk.waiting());
                    if self.core.desk.is_pressed() {
                        until.get_or_insert_with(|| Instant::now() + FINISH_WITHIN);
                    }
                }
                () = abandon, if until.is_some() => return None,
            }
        }
    }
}
