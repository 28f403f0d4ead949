//! The `[relay]` section.

use serde::{Deserialize, Serialize};

/// How the relay paces itself. Milliseconds end in `_ms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelaySettings {
    /// How long it waits for a wake-up before it looks by itself. The net below the wake-ups, and
    /// the latency of events that another process appended.
    pub poll_ms: u64,
    /// How many events one page holds, over all partitions of a topic. Larger pages save round
    /// trips, smaller ones repeat less after a failure.
    pub page_events: u32,
    /// The wait after the first failure; it doubles with each further one.
    pub backoff_min_ms: u64,
    /// The longest wait after a failure: how late the relay may notice that Kafka is back.
    pub backoff_max_ms: u64,
    /// How often a standby asks for the lease, and a holder whether it still has it.
    pub lease_check_ms: u64,
    /// How long a page in flight may take when the process is to stop. What is not acknowledged by
    /// then is sent again by the next process.
    pub shutdown_ms: u64,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            poll_ms: 25,
            page_events: 2_000,
            backoff_min_ms: 100,
            backoff_max_ms: 5_000,
            lease_check_ms: 1_000,
            shutdown_ms: 5_000,
        }
    }
}

impl RelaySettings {
    /// What is wrong with the values, as (key, detail).
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, key: &'static str, detail: &str| {
            if !holds {
                problems.push((key, detail.to_owned()));
            }
        };
        require((1..=1_000).contains(&self.poll_ms), "poll_ms", "must be 1 to 1000");
        let page = (1..=50_000).contains(&self.page_events); // half the producer's default queue
        require(page, "page_events", "must be 1 to 50000");
        require(self.backoff_min_ms >= 1, "backoff_min_ms", "must be at least 1");
        let ordered = self.backoff_max_ms >= self.backoff_min_ms;
        require(ordered, "backoff_max_ms", "must not be below backoff_min_ms");
        require(self.backoff_max_ms <= 60_000, "backoff_max_ms", "must be at most 60000");
        require(self.lease_check_ms >= 10, "lease_check_ms", "must be at least 10");
        require(self.shutdown_ms <= 60_000, "shutdown_ms", "must be at most 60000");
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problem_and_bad_values_are_all_named() {
        assert_eq!(RelaySettings::default().problems(), []);
        let bad = RelaySettings {
            poll_ms: 0,
            page_events: 0,
            backoff_min_ms: 10,
            backoff_max_ms: 5,
            lease_check_ms: 0,
            shutdown_ms: 100_000,
        };
        let keys: Vec<_> = bad.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            ["poll_ms", "page_events", "backoff_max_ms", "lease_check_ms", "shutdown_ms"]
        );
    }
}
