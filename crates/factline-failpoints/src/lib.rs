//! Places where a test may stop a process, to kill or to freeze it there. Nothing in a build
//! without the feature `armed`, which only `cargo xtask test` switches on.
//!
//! `FACTLINE_FAILPOINT=name` blocks at `name` for ever; `name:pause_once=path` blocks the first
//! time, until the file `path` exists. Either writes `failpoint name` to standard error first.

/// Stops here if a test asked for it: not in this build.
#[cfg(not(feature = "armed"))]
#[allow(clippy::unused_async)] // the other build waits here
pub async fn reach(_name: &'static str) {}

/// Stops here if a test asked for it.
#[cfg(feature = "armed")]
pub async fn reach(name: &'static str) {
    use std::{
        path::Path,
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

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
