//! Where workers note what they did.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Enough that two workers on two cores rarely meet at one lock.
const SHARDS: usize = 16;
/// Nothing here takes longer; what does is counted as this.
const LONGEST_US: u64 = 60_000_000;
/// A latency is exact to a thousandth.
const DIGITS: u8 = 3;

/// How long things took, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of them took no longer.
    pub p50_us: u64,
    /// Nine of ten.
    pub p90_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
    /// 999 of 1000.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// Shared by the workers of one cell. What they note before [`Gauge::begin`] and after
/// [`Gauge::end`] is not in the figures.
pub struct Gauge {
    measuring: AtomicBool,
    over: AtomicBool,
    units: AtomicU64,
    next_shard: AtomicUsize,
    shards: Vec<Mutex<Histogram<u64>>>,
}

/// One worker's way to note.
#[derive(Clone)]
pub struct Notes {
    gauge: Arc<Gauge>,
    shard: usize,
}

impl Gauge {
    /// A gauge that shows nothing yet.
    ///
    /// # Panics
    /// Never: the histogram's bounds are constants that it takes.
    #[must_use]
    #[allow(clippy::expect_used)]
    pub fn new() -> Arc<Gauge> {
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, DIGITS);
        let histogram = histogram.expect("1 to a minute in microseconds, 3 digits");
        Arc::new(Gauge {
            measuring: AtomicBool::new(false),
            over: AtomicBool::new(false),
            units: AtomicU64::new(0),
            next_shard: AtomicUsize::new(0),
            shards: (0..SHARDS).map(|_| Mutex::new(histogram.clone())).collect(),
        })
    }

    /// A worker's way to note.
    #[must_use]
    pub fn notes(self: &Arc<Self>) -> Notes {
        let shard = self.next_shard.fetch_add(1, Ordering::Relaxed) % SHARDS;
        Notes { gauge: Arc::clone(self), shard }
    }

    /// From now on it counts.
    pub fn begin(&self) {
        self.units.store(0, Ordering::Relaxed);
        self.measuring.store(true, Ordering::Relaxed);
    }

    /// The workers are to end.
    pub fn end(&self) {
        self.measuring.store(false, Ordering::Relaxed);
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether the workers are to end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Things done since [`Gauge::begin`].
    #[must_use]
    pub fn units(&self) -> u64 {
        self.units.load(Ordering::Relaxed)
    }

    /// How long they took.
    #[must_use]
    pub fn latency(&self) -> Latency {
        let mut all: Option<Histogram<u64>> = None;
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut all {
                // They all have the same bounds, so that they can be added.
                Some(all) => drop(all.add(&*shard)),
                None => all = Some(shard.clone()),
            }
        }
        all.map(|all| Latency {
            p50_us: all.value_at_quantile(0.5),
            p90_us: all.value_at_quantile(0.9),
            p99_us: all.value_at_quantile(0.99),
            p999_us: all.value_at_quantile(0.999),
            max_us: all.max(),
        })
        .unwrap_or_default()
    }
}

impl Notes {
    /// Whether the worker is to end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.gauge.is_over()
    }

    /// So many things were done by one call that took so long.
    pub fn note(&self, units: u64, took: Duration) {
        if !self.gauge.measuring.load(Ordering::Relaxed) {
            return;
        }
        self.gauge.units.fetch_add(units, Ordering::Relaxed);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US).clamp(1, LONGEST_US);
        let mut shard =
            self.gauge.shards[self.shard].lock().unwrap_or_else(PoisonError::into_inner);
        shard.saturating_record(took_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_done_while_it_measures_counts() {
        let gauge = Gauge::new();
        let (one, two) = (gauge.notes(), gauge.notes());
        one.note(5, Duration::from_millis(1));
        gauge.begin();
        one.note(1, Duration::from_micros(100));
        two.note(2, Duration::from_micros(300));
        gauge.end();
        two.note(5, Duration::from_secs(1));
        assert_eq!(gauge.units(), 3);
        let latency = gauge.latency();
        assert_eq!((latency.p50_us, latency.max_us), (100, 300));
        assert!(one.is_over());
    }
}
