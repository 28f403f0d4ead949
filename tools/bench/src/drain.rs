//! A cell that works a known amount off, instead of working for a known time.

use std::time::Instant;

use bench_load::{Latency, Measured, Meter};

use crate::failure::Failure;

/// Measures a piece of work that says how many units it did.
///
/// # Errors
/// The work's own.
pub(crate) async fn measure(
    meter: &Meter,
    work: impl Future<Output = Result<u64, Failure>>,
) -> Result<Measured, Failure> {
    let (before, began) = (meter.read(), Instant::now());
    let units = work.await?;
    let seconds = began.elapsed().as_secs_f64();
    // One piece of work has a duration and no latency.
    Ok(Measured { units, seconds, latency: Latency::default(), cpu: meter.since(&before) })
}
