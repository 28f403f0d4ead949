//! Stopping in order: in flows SIGTERM, SIGINT or a task's failure; out flow cancellations, phase by
//! phase, each when the one before it is done.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// When a task is asked to stop. The phases follow one another: a later one is asked only when no
/// task of an earlier one is left (or its deadline has passed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// What lets work in: HTTP servers. Stop accepting, finish what is in flight.
    Serving,
    /// What works: lanes, relays, consumers, deliveries. Finish transactions, commit, flush.
    Working,
    /// What watches: the admin server, metrics. Last, so that the end can be watched.
    Watching,
}

impl Phase {
    pub(crate) const ALL: [Self; 3] = [Self::Serving, Self::Working, Self::Watching];
}

/// The request to stop; a handle, cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stop: [CancellationToken; Phase::ALL.len()],
    cause: OnceLock<String>,
}

impl Shutdown {
    /// Nobody has asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the service to stop. The first cause is kept.
    pub fn request(&self, cause: impl Into<String>) {
        let cause = cause.into();
        if self.0.cause.set(cause.clone()).is_ok() {
            tracing::info!(cause, "stopping");
        }
        self.begin(Phase::Serving);
    }

    /// Cancelled when the service was asked to stop.
    #[must_use]
    pub fn requested(&self) -> CancellationToken {
        self.stop(Phase::Serving)
    }

    /// Why, once asked.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.get().map(String::as_str)
    }

    /// Cancelled when tasks of this phase must stop.
    #[must_use]
    pub fn stop(&self, phase: Phase) -> CancellationToken {
        self.0.stop[phase as usize].clone()
    }

    pub(crate) fn begin(&self, phase: Phase) {
        self.0.stop[phase as usize].cancel();
    }
}

/// Turns SIGTERM and SIGINT into a request to stop; a second signal ends the process at once.
#[cfg(unix)]
pub(crate) async fn listen_for_signals(shutdown: Shutdown) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let end = shutdown.stop(Phase::Watching);
    loop {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = end.cancelled() => return Ok(()),
        };
        if shutdown.requested().is_cancelled() {
            tracing::warn!(signal = name, "asked to stop twice: stopping at once");
            std::process::exit(130); // 128 + SIGINT, what a shell reports for an interrupted program
        }
        shutdown.request(name);
    }
}

/// Turns Ctrl-C into a request to stop.
#[cfg(not(unix))]
pub(crate) async fn listen_for_signals(shutdown: Shutdown) -> std::io::Result<()> {
    tokio::signal::ctrl_c().await?;
    shutdown.request("Ctrl-C");
    shutdown.stop(Phase::Watching).cancelled().await;
    Ok(())
}
