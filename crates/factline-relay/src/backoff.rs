//! How long to wait after a failure: doubling, bounded, with jitter so that relays that failed
//! together do not come back together.

use std::time::Duration;

/// The next wait. Pure: the jitter is an argument.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(min_ms: u64, max_ms: u64) -> Self {
        let (min, max) = (Duration::from_millis(min_ms), Duration::from_millis(max_ms));
        Self { min, max, next: min }
    }

    /// Between half and the whole of the current step; `jitter` is from 0 to 1.
    pub(crate) fn wait(&mut self, jitter: f64) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.max);
        step / 2 + (step / 2).mul_f64(jitter.clamp(0.0, 1.0))
    }

    /// Something worked: the next failure starts over.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_start_over_after_a_success() {
        let mut backoff = Backoff::new(100, 500);
        let waits: Vec<u128> = (0..5).map(|_| backoff.wait(1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 500, 500]);
        backoff.reset();
        assert_eq!(backoff.wait(0.0).as_millis(), 50);
    }
}
