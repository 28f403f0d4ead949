//! The open loop's clock: it says when each piece of work is due, whether or not the last one is
//! done, so that a server that stalls is charged for everybody who would have come meanwhile.
//!
//! Tokio's timer is too coarse for it (one millisecond): the clock has a thread of its own, which
//! sleeps by the kernel's fine timer.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::Gauge;

/// When a piece of work is due: its latency counts from then.
pub type Due = Instant;

/// Deals out work at this rate to so many workers in turn, until the gauge is over. A worker that
/// is behind finds its dues queued.
///
/// The thread ends soon after the gauge is over; then the receivers end.
#[must_use]
pub fn pace(
    gauge: &Arc<Gauge>,
    per_second: f64,
    workers: usize,
) -> (Vec<UnboundedReceiver<Due>>, JoinHandle<()>) {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| unbounded_channel()).unzip();
    let gauge = Arc::clone(gauge);
    let clock = thread::spawn(move || deal(&gauge, per_second, &senders));
    (receivers, clock)
}

fn deal(gauge: &Gauge, per_second: f64, workers: &[UnboundedSender<Due>]) {
    let start = Instant::now();
    let mut turns = workers.iter().cycle();
    for number in 0_u32.. {
        let due = start + Duration::from_secs_f64(f64::from(number) / per_second);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let Some(worker) = turns.next() else { return };
        if gauge.is_over() || worker.send(due).is_err() {
            return;
        }
    }
}
