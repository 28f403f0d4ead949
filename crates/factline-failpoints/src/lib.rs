//! Places where a test may stop a process, to kill or to freeze it there. Nothing in a build
//! without the feature `armed`, which only `cargo xtask test` switches on.
//!
//! `FACTLINE_FAILPOINT=name` blocks at `name` for ever; `name:until=path` blocks until the file
//! `path` exists. Either writes `failpoint name` to standard error first, once for every task that
//! comes there.
//!
//! Beside them stand promises that a build may break on purpose, so that the fault runner can be
//! shown to notice it ([`is_broken`]). Nothing in a build without the feature `broken`, which only
//! `cargo xtask faults --broken` switches on, and which a release build refuses to compile.

#[cfg(all(feature = "broken", not(debug_assertions)))]
compile_error!("the feature `broken` breaks promises on purpose: never in a release build");

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

/// Whether this process breaks a promise on purpose: not in this build.
#[cfg(not(feature = "broken"))]
#[must_use]
pub const fn is_broken(_promise: &str) -> bool {
    false
}

/// Whether this process breaks a promise on purpose: the one that `FACTLINE_BROKEN` names.
#[cfg(feature = "broken")]
#[must_use]
pub fn is_broken(promise: &str) -> bool {
    use std::sync::LazyLock;

    static BROKEN: LazyLock<Option<String>> =
        LazyLock::new(|| std::env::var("FACTLINE_BROKEN").ok());
    BROKEN.as_deref() == Some(promise)
}

/// Holds the door open between two steps that a broken promise has parted, so that a fault of the
/// seconds that a run has comes between them: nothing in this build.
#[cfg(not(feature = "broken"))]
#[allow(clippy::unused_async)] // the other build waits here
pub async fn part_steps() {}

/// Holds the door open between two steps that a broken promise has parted, so that a fault of the
/// seconds that a run has comes between them.
#[cfg(feature = "broken")]
pub async fn part_steps() {
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
}
