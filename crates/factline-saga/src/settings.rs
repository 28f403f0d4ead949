//! How sagas work.

use std::time::Duration;

use serde::Deserialize;

/// Part of a service's section `[saga]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SagaSettings {
    /// Commands that are carried out at once by one of the dispatchers.
    pub concurrency: u32,
    /// Dispatchers of this process: while one waits for answers another records them.
    pub dispatchers: u32,
    /// How long after its claim a command may still be decided. It is claimed again after twice that.
    pub decide_within_ms: u64,
    /// How often due commands, timers and acts are looked for; a batch of events wakes at once.
    pub poll_ms: u64,
    /// The wait after a command could not be carried out; it doubles from the first to the second.
    pub retry_first_ms: u64,
    /// See `retry_first_ms`.
    pub retry_most_ms: u64,
    /// An instance that has not moved for so long and waits for nobody outside is stuck.
    pub stuck_after_ms: u64,
}

impl Default for SagaSettings {
    fn default() -> Self {
        Self {
            concurrency: 256, // half of what one append takes
            dispatchers: 2,
            decide_within_ms: 5_000, // twice what a lane waits for a lock
            poll_ms: 200,
            retry_first_ms: 100,
            retry_most_ms: 10_000,
            stuck_after_ms: 300_000, // five minutes: far above any outage that is waited for unseen
        }
    }
}

impl SagaSettings {
    /// What is wrong with the values, as (key, detail).
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut refuse = |wrong: bool, key: &'static str, detail: &str| {
            if wrong {
                problems.push((key, detail.to_owned()));
            }
        };
        // A command in flight holds memory and a place in a lane's queue.
        refuse(
            !(1..=1_024).contains(&self.concurrency),
            "concurrency",
            "is not between 1 and 1024",
        );
        refuse(!(1..=16).contains(&self.dispatchers), "dispatchers", "is not between 1 and 16");
        let a_minute = 60_000;
        refuse(
            !(100..=a_minute).contains(&self.decide_within_ms),
            "decide_within_ms",
            "is not between 100 and 60000",
        );
        refuse(!(10..=a_minute).contains(&self.poll_ms), "poll_ms", "is not between 10 and 60000");
        refuse(self.retry_first_ms < 1, "retry_first_ms", "is below 1");
        refuse(
            self.retry_most_ms < self.retry_first_ms,
            "retry_most_ms",
            "is below retry_first_ms",
        );
        refuse(self.stuck_after_ms < 1_000, "stuck_after_ms", "is below 1000");
        problems
    }

    pub(crate) fn decide_within(&self) -> Duration {
        Duration::from_millis(self.decide_within_ms)
    }

    /// How long a claim is kept: beyond the last moment of a decision by as much again, for the answer's
    /// way back and clocks that do not run alike.
    pub(crate) fn lease(&self) -> Duration {
        2 * self.decide_within()
    }

    pub(crate) fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    /// The wait before attempt `attempt` (from 2): doubling, with jitter, so that what failed together
    /// does not come back together.
    pub(crate) fn back_off(&self, attempt: i32) -> Duration {
        let doublings = attempt.saturating_sub(1).clamp(0, 20); // 2^20 is above any limit
        let doubled = self.retry_first_ms.saturating_mul(1 << doublings);
        let most = doubled.min(self.retry_most_ms).max(1);
        Duration::from_millis(rand::random_range(most.div_ceil(2)..=most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problem_and_bad_values_are_reported_together() {
        assert_eq!(SagaSettings::default().problems(), []);
        let bad = SagaSettings { concurrency: 0, retry_most_ms: 1, ..SagaSettings::default() };
        let keys: Vec<_> = bad.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["concurrency", "retry_most_ms"]);
    }

    #[test]
    fn back_off_doubles_up_to_its_limit_and_never_below_half() {
        let settings = SagaSettings::default();
        for (attempt, most) in [(1, 100), (2, 200), (5, 1_600), (8, 10_000), (i32::MAX, 10_000)] {
            let wait = settings.back_off(attempt).as_millis();
            assert!(wait <= most && wait >= most / 2, "attempt {attempt}: {wait}");
        }
    }
}
