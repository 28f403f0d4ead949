//! The owner of every long-running task: each has a name, each is awaited, and one that ends before
//! it was asked to brings the service down with its name.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{AbortHandle, JoinError},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{Phase, ServiceError, Shutdown, ShutdownSettings};

/// Spawns and watches tasks; a handle, cheap to clone.
#[derive(Debug, Clone)]
pub struct Tasks {
    shutdown: Shutdown,
    running: Arc<Mutex<Vec<Running>>>,
    // As many messages as tasks are spawned, so no bound is needed.
    ended: UnboundedSender<Ended>,
    ends: Arc<Mutex<Option<UnboundedReceiver<Ended>>>>,
}

#[derive(Debug)]
struct Running {
    name: String,
    phase: Phase,
    abort: AbortHandle,
}

#[derive(Debug)]
struct Ended {
    name: String,
    phase: Phase,
    outcome: Result<(), String>,
}

impl Tasks {
    /// No tasks yet; they will stop when `shutdown` says so.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        let (ended, ends) = unbounded_channel();
        Self { shutdown, running: Arc::default(), ended, ends: Arc::new(Mutex::new(Some(ends))) }
    }

    /// Spawns a task that runs until `stop` is cancelled, which happens in `phase`. When it fails,
    /// panics or returns before, the service stops with its name and exit code 1.
    pub fn spawn<F, W>(&self, phase: Phase, name: impl Into<String>, work: W)
    where
        W: FnOnce(CancellationToken) -> F,
        F: Future<Output = Result<(), ServiceError>> + Send + 'static,
    {
        let name = name.into();
        let ended = self.ended.clone();
        let mut running = self.running(); // held until it is listed: its end is noted after that
        let task = tokio::spawn(work(self.shutdown.stop(phase)));
        running.push(Running { name: name.clone(), phase, abort: task.abort_handle() });
        drop(running);
        // Awaits exactly one task and ends with it; its end is what `supervise` receives.
        tokio::spawn(async move {
            let outcome = match task.await {
                Ok(result) => result.map_err(|error| error.to_string()),
                Err(error) => Err(ending_of(error)),
            };
            let _gone_with_the_owner = ended.send(Ended { name, phase, outcome });
        });
    }

    /// Waits until the service is asked to stop, by a signal or by a task's end, then stops all
    /// tasks phase by phase. Returns when none is left. Call it once.
    ///
    /// # Errors
    /// The first task that failed, panicked or ended too early, or that did not stop in time.
    pub async fn supervise(&self, settings: &ShutdownSettings) -> Result<(), ServiceError> {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut ends) = ends else {
            return Err(ServiceError::new("the tasks are already supervised"));
        };
        let mut failure = None;
        let requested = self.shutdown.requested();
        while !requested.is_cancelled() {
            tokio::select! {
                () = requested.cancelled() => {}
                Some(ended) = ends.recv() => self.note(ended, &mut failure),
            }
        }
        for phase in Phase::ALL {
            self.shutdown.begin(phase);
            let allowed_ms = match phase {
                Phase::Serving => settings.drain_ms,
                Phase::Working | Phase::Watching => settings.finish_ms,
            };
            let deadline = Instant::now() + Duration::from_millis(allowed_ms);
            self.finish(phase, deadline, &mut ends, &mut failure).await;
        }
        failure.map_or(Ok(()), |reason| Err(ServiceError::new(reason)))
    }

    /// Waits until no task of this phase is left, and at the deadline aborts those that are.
    async fn finish(
        &self,
        phase: Phase,
        deadline: Instant,
        ends: &mut UnboundedReceiver<Ended>,
        failure: &mut Option<String>,
    ) {
        while self.running().iter().any(|task| task.phase == phase) {
            tokio::select! {
                Some(ended) = ends.recv() => self.note(ended, failure),
                () = sleep_until(deadline) => break,
            }
        }
        self.running().retain(|task| {
            if task.phase == phase {
                tracing::error!(task.name, "did not stop in time: aborted");
                failure.get_or_insert_with(|| format!("task {} did not stop in time", task.name));
                task.abort.abort();
            }
            task.phase != phase
        });
    }

    fn note(&self, ended: Ended, failure: &mut Option<String>) {
        let Ended { name, phase, outcome } = ended;
        let mut running = self.running();
        if let Some(index) =
            running.iter().position(|task| task.name == name && task.phase == phase)
        {
            running.swap_remove(index);
        }
        drop(running);
        let asked = self.shutdown.stop(phase).is_cancelled();
        let reason = match outcome {
            Ok(()) if asked => return tracing::debug!(task.name = name, "task stopped"),
            Ok(()) => format!("task {name} ended although nobody asked it to"),
            Err(error) => format!("task {name} failed: {error}"),
        };
        tracing::error!(task.name = name, reason, "a task brings the service down");
        failure.get_or_insert(reason);
        self.shutdown.request(format!("task {name} ended"));
    }

    fn running(&self) -> MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner) // a list of plain values
    }
}

fn ending_of(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            format!("panicked: {}", text.unwrap_or_else(|| "without a text".to_owned()))
        }
        Err(_) => "aborted".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: ShutdownSettings = ShutdownSettings { drain_ms: 5_000, finish_ms: 5_000 };

    #[tokio::test]
    async fn a_panicking_task_stops_the_others_and_is_named() {
        let tasks = Tasks::new(Shutdown::new());
        tasks.spawn(Phase::Working, "sorter", |_stop| async { panic!("belt torn") });
        tasks.spawn(Phase::Serving, "counter", |stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        let error = tasks.supervise(&SETTINGS).await.unwrap_err();
        assert_eq!(error.to_string(), "task sorter failed: panicked: belt torn");
    }

    #[tokio::test]
    async fn a_task_that_returns_unasked_is_a_failure() {
        let tasks = Tasks::new(Shutdown::new());
        tasks.spawn(Phase::Working, "sorter", |_stop| async { Ok(()) });
        let error = tasks.supervise(&SETTINGS).await.unwrap_err();
        assert_eq!(error.to_string(), "task sorter ended although nobody asked it to");
    }

    #[tokio::test]
    async fn a_later_phase_is_asked_to_stop_when_the_earlier_is_done() {
        let shutdown = Shutdown::new();
        let tasks = Tasks::new(shutdown.clone());
        let order = Arc::new(Mutex::new(Vec::new()));
        for (phase, name) in
            [(Phase::Watching, "admin"), (Phase::Serving, "http"), (Phase::Working, "sorter")]
        {
            let order = order.clone();
            tasks.spawn(phase, name, move |stop| async move {
                stop.cancelled().await;
                order.lock().unwrap().push(name);
                Ok(())
            });
        }
        shutdown.request("the test");
        tasks.supervise(&SETTINGS).await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["http", "sorter", "admin"]);
    }

    #[tokio::test]
    async fn a_task_that_does_not_stop_is_aborted_and_named() {
        let impatient = ShutdownSettings { finish_ms: 0, ..SETTINGS };
        let shutdown = Shutdown::new();
        let tasks = Tasks::new(shutdown.clone());
        tasks.spawn(Phase::Working, "sorter", |_stop| std::future::pending());
        shutdown.request("the test");
        let error = tasks.supervise(&impatient).await.unwrap_err();
        assert_eq!(error.to_string(), "task sorter did not stop in time");
    }
}
