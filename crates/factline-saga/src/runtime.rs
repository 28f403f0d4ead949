//! A saga at work: everything but the way in for events, which a projector runs.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use factline_core::saga::Saga;
use futures::future::join_all;
use sqlx::PgPool;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use crate::{
    Executor, SagaProjection, SagaSettings, clock, dispatch::Dispatcher, journal::Setback, meters,
    operator,
};

/// How often the open instances are looked at: an operator's alarm needs no more, and the count reads an
/// index over all of them.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a saga is made of.
pub struct SagaParts<S, E> {
    /// What it does.
    pub saga: S,
    /// Who carries its commands out.
    pub executor: E,
    /// Where it is stored, migrated: [`factline_projection::MIGRATOR`] and [`MIGRATION`](crate::MIGRATION).
    /// Each dispatcher needs a connection, and so do timers and acts.
    pub database: PgPool,
    /// How it works.
    pub settings: SagaSettings,
}

/// A saga, ready to run.
pub struct SagaRuntime<S, E> {
    saga: Arc<S>,
    executor: Arc<E>,
    database: PgPool,
    settings: SagaSettings,
    status: watch::Sender<Vec<String>>,
}

impl<S: Saga, E: Executor<S::Command>> SagaRuntime<S, E> {
    /// Touches nothing outside yet.
    #[must_use]
    pub fn new(parts: SagaParts<S, E>) -> Self {
        let SagaParts { saga, executor, database, settings } = parts;
        meters::announce(S::NAME);
        Self {
            saga: Arc::new(saga),
            executor: Arc::new(executor),
            database,
            settings,
            status: watch::Sender::new(vec!["starting".to_owned()]),
        }
    }

    /// What a projector has to run.
    #[must_use]
    pub fn projection(&self) -> SagaProjection<S> {
        SagaProjection { saga: Arc::clone(&self.saga) }
    }

    /// What is not as it should be, for readiness; empty when all is well.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Vec<String>> {
        self.status.subscribe()
    }

    /// Carries out commands, timers and acts until `shutdown` completes. `commits` changes when events were
    /// taken in: then commands may be due.
    ///
    /// # Cancellation
    /// A dropped call is like a crash: what was under way is done again, with the same keys.
    pub async fn run(
        self,
        commits: watch::Receiver<u64>,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let dispatching = (0..self.settings.dispatchers).map(|_| self.dispatch(commits.clone()));
        let mut shutdown = pin!(shutdown);
        tokio::select! {
            _ = join_all(dispatching) => {}
            () = self.keep_time() => {}
            () = self.watch() => {}
            () = &mut shutdown => info!(saga = S::NAME, "the saga has stopped"),
        }
    }

    async fn dispatch(&self, mut commits: watch::Receiver<u64>) {
        let dispatcher = Dispatcher {
            saga: Arc::clone(&self.saga),
            executor: Arc::clone(&self.executor),
            database: self.database.clone(),
            settings: self.settings.clone(),
        };
        let mut failures = Failures::default();
        loop {
            commits.mark_unchanged();
            match dispatcher.round().await {
                Ok(0) => {
                    failures.over();
                    let poll = sleep(self.settings.poll());
                    tokio::select! {
                        () = poll => {}
                        Ok(()) = commits.changed() => {}
                    }
                }
                Ok(_) => failures.over(), // there may be more
                Err(setback) => {
                    failures.note(S::NAME, "commands", &setback);
                    sleep(self.settings.back_off(failures.count)).await;
                }
            }
        }
    }

    async fn keep_time(&self) {
        let mut failures = Failures::default();
        loop {
            match self.timers_and_acts().await {
                Ok(()) => {
                    failures.over();
                    sleep(self.settings.poll()).await;
                }
                Err(setback) => {
                    failures.note(S::NAME, "timers and acts", &setback);
                    sleep(self.settings.back_off(failures.count).max(self.settings.poll())).await;
                }
            }
        }
    }

    async fn timers_and_acts(&self) -> Result<(), Setback> {
        while clock::fire(&self.database, &*self.saga).await? > 0 {}
        operator::carry_out(&self.database, &*self.saga).await?;
        Ok(())
    }

    async fn watch(&self) {
        let stuck_after = Duration::from_millis(self.settings.stuck_after_ms);
        loop {
            let looked_at = Instant::now();
            let reasons = match clock::look::<S>(&self.database, stuck_after).await {
                Ok(sight) => sight.reasons(),
                Err(error) => vec![format!("the instances cannot be read: {error}")],
            };
            self.status.send_if_modified(|known| {
                let differs = *known != reasons;
                *known = reasons;
                differs
            });
            tokio::time::sleep_until(looked_at + LOOK_EVERY).await;
        }
    }
}

/// Failures in a row: the first one is told, and the end of them is silent.
#[derive(Debug, Default)]
struct Failures {
    count: i32,
}

impl Failures {
    fn over(&mut self) {
        self.count = 0;
    }

    fn note(&mut self, saga: &'static str, what: &'static str, setback: &Setback) {
        self.count = self.count.saturating_add(1);
        if self.count == 1 {
            warn!(saga, what, error = %setback, "a saga waits for its database");
        }
    }
}
