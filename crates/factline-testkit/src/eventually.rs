//! Waiting for something that happens elsewhere: the only place in the tests where time passes.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

/// Short against anything that a test waits for, long against the cost of asking.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Waits until the condition holds.
///
/// # Panics
/// It does not hold within the deadline.
#[track_caller]
pub fn eventually(
    deadline: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> bool,
) -> impl Future<Output = ()> {
    eventually_ok(
        deadline,
        what,
        async move || {
            if condition().await { Ok(()) } else { Err("not yet") }
        },
    )
}

/// Waits until the probe gives a value, and returns it; the probe says what it saw instead.
///
/// # Panics
/// It gives none within the deadline; the panic tells what was seen last.
#[track_caller]
pub fn eventually_ok<T, Seen: Display>(
    deadline: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, Seen>,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let give_up_at = Instant::now() + deadline;
        loop {
            let left = give_up_at.saturating_duration_since(Instant::now());
            let seen = match tokio::time::timeout(left, probe()).await {
                Ok(Ok(value)) => return value,
                Ok(Err(seen)) => seen.to_string(),
                Err(_) => "the probe itself did not answer".to_owned(),
            };
            let waited_ms = deadline.as_millis();
            assert!(
                Instant::now() < give_up_at,
                "{what}: not within {waited_ms} ms; last seen: {seen} ({caller})"
            );
            tokio::time::sleep(POLL_EVERY).await;
        }
    }
}
