//! Places where a test may stop a process, to kill or to freeze it there. Nothing in a build without
//! the feature `failpoints`.
//!
//! `FACTLINE_FAILPOINT=name` blocks there for ever; `name:pause_once=path` blocks the first time,
//! until the file `path` exists. Either writes `failpoint name` to standard error first.

/// Between the database's commit and Kafka's.
pub(crate) const AFTER_COMMIT: &str = "projector_after_commit";
/// Inside the transaction, with everything written and nothing committed.
pub(crate) const IN_BATCH: &str = "projector_in_batch";

#[cfg(not(feature = "failpoints"))]
#[allow(clippy::unused_async)] // the other build waits here
pub(crate) async fn reach(_name: &'static str) {}

#[cfg(feature = "failpoints")]
pub(crate) async fn reach(name: &'static str) {
    use std::{path::Path, sync::atomic::AtomicBool, sync::atomic::Ordering, time::Duration};

    static PAUSED: AtomicBool = AtomicBool::new(false);
    let Ok(armed) = std::env::var("FACTLINE_FAILPOINT") else { return };
    let (armed, until) = match armed.split_once(":pause_once=") {
        Some((armed, path)) => (armed, Some(path)),
        None => (armed.as_str(), None),
    };
    if armed != name {
        return;
    }
    let Some(path) = until else {
        eprintln!("failpoint {name}");
        return std::future::pending().await;
    };
    if PAUSED.swap(true, Ordering::SeqCst) {
        return;
    }
    eprintln!("failpoint {name}");
    while !Path::new(path).exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
