//! When a message is tried again, and how often.

use std::time::Duration;

use service_kit::settings::{SettingsProblem, within};

/// The doubling stops here; 2^30 seconds are above any limit that can be set.
const MOST_DOUBLINGS: u32 = 30;
/// Beyond a receiver's time-out, a claim is kept for so long: the mark's own time, generously. A
/// message whose process died waits for it once.
const CLAIM_MARGIN: Duration = Duration::from_secs(10);

/// How a queue goes about it; the part that every queue's section of the settings has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long one attempt may take.
    pub timeout_ms: u64,
    /// How often what is due is looked for.
    pub poll_ms: u64,
    /// Messages sent at once.
    pub concurrency: usize,
    /// The first wait after a failed attempt; it doubles from here.
    pub retry_first_ms: u64,
    /// The longest such wait.
    pub retry_most_ms: u64,
    /// Attempts before a message is abandoned.
    pub max_attempts: u32,
}

impl Pace {
    /// Everything that is wrong with it.
    #[must_use]
    pub fn problems(&self) -> Vec<SettingsProblem> {
        const HOUR_MS: u64 = 3_600_000;
        [
            within("timeout_ms", self.timeout_ms, 1..=60_000), // no honest receiver needs a minute
            within("poll_ms", self.poll_ms, 10..=HOUR_MS),
            within("concurrency", self.concurrency, 1..=64),
            within("retry_first_ms", self.retry_first_ms, 1..=self.retry_most_ms.max(1)),
            within("retry_most_ms", self.retry_most_ms, 1..=24 * HOUR_MS),
            within("max_attempts", self.max_attempts, 1..=10_000),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// How long one attempt may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// For how long nobody else sends what was claimed, in seconds.
    #[must_use]
    pub fn claim_s(&self) -> f64 {
        (self.timeout() + CLAIM_MARGIN).as_secs_f64()
    }

    /// How many messages are claimed at once.
    #[must_use]
    pub fn batch(&self) -> i64 {
        i64::try_from(self.concurrency).unwrap_or(i64::MAX)
    }

    /// The wait before the next attempt: doubling, with jitter so that what failed together does not
    /// come back together; longer if the receiver asks for it, but never above the limit.
    #[must_use]
    pub fn wait_after(&self, attempts: u32, retry_after: Option<Duration>) -> Duration {
        let doublings = attempts.saturating_sub(1).min(MOST_DOUBLINGS);
        let most = self.retry_most_ms;
        let doubled = self.retry_first_ms.saturating_mul(1 << doublings).clamp(1, most.max(1));
        let own = Duration::from_millis(rand::random_range(doubled.div_ceil(2)..=doubled));
        retry_after.map_or(own, |asked| own.max(asked.min(Duration::from_millis(most))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        timeout_ms: 5_000,
        poll_ms: 500,
        concurrency: 8,
        retry_first_ms: 1_000,
        retry_most_ms: 60_000,
        max_attempts: 60,
    };

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_is_never_below_half() {
        for (attempts, most_ms) in [(1, 1_000), (2, 2_000), (6, 32_000), (7, 60_000), (900, 60_000)]
        {
            let wait = PACE.wait_after(attempts, None).as_millis();
            assert!(wait <= most_ms && wait >= most_ms / 2, "{attempts}: {wait}");
        }
    }

    #[test]
    fn w07_a_retry_after_lengthens_the_wait_up_to_its_limit_and_never_shortens_it() {
        let asked = |seconds| PACE.wait_after(1, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(30), Duration::from_secs(30));
        assert_eq!(asked(1_000_000_000), Duration::from_secs(60));
        assert!(asked(0) >= Duration::from_millis(500));
    }
}
