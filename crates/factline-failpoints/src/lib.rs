//! Places where a test may stop a process, to kill or to freeze it there. Nothing in a build
//! without the feature `armed`, which only `cargo xtask test` switches on.
//!
//! `FACTLINE_FAILPOINT=name` blocks at `name` for ever; `name:until=path` blocks until the file
//! `path` exists. Either writes `failpoint name` to standard error first, once for every task that
//! comes there.

/// Stops here if a test asked for it: not in this build.
#[cfg(not(feature = "armed"))]
#[allow(clippy::unused_async)] // the other build waits here
pub async fn reach(_name: &'static str) {}

/// Stops here if a test asked for it.
#[cfg(feature = "armed")]
pub async fn reach(name: &'static str) {
    use std::{path::Path, time::Duration};

    let Ok(armed) = std::env::var("FACTLINE_FAILPOINT") else { return };
    let (armed, until) = match armed.split_once(":until=") {
        Some((armed, path)) => (armed, Some(Path::new(path))),
        None => (armed.as_str(), None),
    };
    if armed != name || until.is_some_and(Path::exists) {
        return;
    }
    eprintln!("failpoint {name}");
    while !until.is_some_and(Path::exists) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
