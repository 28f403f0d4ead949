//! The `[projection]` section of every service that projects.

use std::time::Duration;

use serde::Deserialize;

/// How a projection works and how patient it is. Milliseconds end in `_ms`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectionSettings {
    /// Transactions at work at once; partition p belongs to worker p mod this. Each costs one
    /// database connection.
    pub workers: usize,
    /// The most records in one transaction. Larger saves commits while catching up and costs more
    /// when a batch has to be done again.
    pub batch_records: usize,
    /// The most bytes of records in one transaction.
    pub batch_bytes: usize,
    /// How many records may wait in memory, for each partition that is held. Partitions share that room; one
    /// that stands still may have up to half of it, and is paused then.
    pub backlog_records: usize,
    /// Where a partition begins that this projection has never read.
    pub begin_at: BeginAt,
    /// How long a missing position may take to come by itself, before it is read from the log.
    /// The relay sends again at once after a failed send.
    pub gap_wait_ms: u64,
    /// The projection stops at this many parked streams: then the cause is not a stream.
    pub parked_streams_limit: i64,
    /// The projection stops at this many parked events.
    pub parked_events_limit: i64,
    /// The projection stops at this many bytes of parked events' values.
    pub parked_bytes_limit: i64,
    /// The first wait after a failure that time may cure; it doubles from here.
    pub retry_first_ms: u64,
    /// The longest such wait.
    pub retry_most_ms: u64,
    /// How often an operator's correction of a wrong configuration is looked for.
    pub config_retry_ms: u64,
    /// How often an error that nobody has classified is retried before the projection stops.
    pub unknown_error_attempts: u32,
    /// How long a schema id may stay unknown to the registry before its record is poison: a
    /// registry that lags or is restored knows it later.
    pub schema_unknown_for_ms: u64,
    /// How long an unknown schema id is not asked for again.
    pub schema_ask_again_ms: u64,
    /// How long one transaction may take in all.
    pub transaction_within_ms: u64,
    /// The database ends a transaction whose owner stands still for so long (a frozen process), so
    /// that the partitions' next owner gets on.
    pub transaction_idle_ms: u64,
    /// A partition that has records and yields none for so long makes the Kafka client be rebuilt.
    pub stall_after_ms: u64,
    /// How often parked records are looked for that are not on the dead-letter topic yet; newly
    /// parked ones go at once.
    pub export_every_ms: u64,
    /// How long ids of processed events are kept, counted from when an event was made. For so long a repeat
    /// is told from another event at its position; `factline verify` compares effects from there on.
    pub processed_events_kept_ms: u64,
    /// How long stopping may take before the Kafka client is abandoned.
    pub close_within_ms: u64,
}

/// Where a projection begins a partition that it has never read. Explicit, because the wrong guess
/// loses history without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeginAt {
    /// At the oldest record; what retention has removed is read from the log.
    Beginning,
    /// Not at all: a missing checkpoint means that the wrong database is configured.
    Refuse,
}

impl Default for ProjectionSettings {
    fn default() -> Self {
        Self {
            workers: 2,
            batch_records: 2_000, // measured: 133k events/s; commits are then 1 % of the work
            batch_bytes: 8 * 1024 * 1024, // 32 records of the largest size
            backlog_records: 8_000, // four batches: decoding never waits for Kafka
            begin_at: BeginAt::Beginning,
            gap_wait_ms: 2_000, // twice the relay's slowest turn-around after a failed send
            parked_streams_limit: 1_000,
            parked_events_limit: 100_000,
            parked_bytes_limit: 1 << 30, // 10 KiB for each of so many events
            retry_first_ms: 100,
            retry_most_ms: 10_000,
            config_retry_ms: 5_000,
            unknown_error_attempts: 20, // about two minutes of back-off
            schema_unknown_for_ms: 600_000,
            schema_ask_again_ms: 30_000,
            transaction_within_ms: 30_000,
            transaction_idle_ms: 10_000, // the Kafka session's length: both give up together
            stall_after_ms: 30_000,
            export_every_ms: 2_000,
            processed_events_kept_ms: 2_592_000_000, // 30 days: four times what the topics keep
            close_within_ms: 8_000,                  // of the 20 s that a service has to stop
        }
    }
}

impl ProjectionSettings {
    /// Everything that is wrong with the values, one sentence each; empty when they can be used.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut refuse = |wrong: bool, problem: &str| {
            if wrong {
                problems.push(format!("projection.{problem}"));
            }
        };
        refuse(!(1..=64).contains(&self.workers), "workers is not between 1 and 64");
        refuse(self.batch_records < 1, "batch_records is below 1");
        refuse(self.batch_bytes < 1, "batch_bytes is below 1");
        refuse(self.backlog_records < self.batch_records, "backlog_records is below batch_records");
        refuse(self.parked_streams_limit < 1, "parked_streams_limit is below 1");
        refuse(self.parked_events_limit < 1, "parked_events_limit is below 1");
        refuse(self.parked_bytes_limit < 1, "parked_bytes_limit is below 1");
        refuse(self.retry_first_ms < 1, "retry_first_ms is below 1");
        refuse(self.retry_most_ms < self.retry_first_ms, "retry_most_ms is below retry_first_ms");
        refuse(self.config_retry_ms < 1, "config_retry_ms is below 1");
        refuse(self.unknown_error_attempts < 1, "unknown_error_attempts is below 1");
        refuse(self.transaction_within_ms < 100, "transaction_within_ms is below 100");
        refuse(self.transaction_idle_ms < 100, "transaction_idle_ms is below 100");
        refuse(self.stall_after_ms < 1_000, "stall_after_ms is below 1000");
        refuse(self.export_every_ms < 10, "export_every_ms is below 10");
        refuse(self.processed_events_kept_ms < 1_000, "processed_events_kept_ms is below 1000");
        refuse(self.close_within_ms < 100, "close_within_ms is below 100");
        problems
    }

    /// The wait before attempt `attempt` (from 1) after failures that time may cure: doubling, with
    /// jitter, so that workers that failed together do not come back together.
    #[must_use]
    pub(crate) fn back_off(&self, attempt: u32) -> Duration {
        let doubled = self.retry_first_ms.saturating_mul(1 << attempt.saturating_sub(1).min(20));
        let most = doubled.min(self.retry_most_ms).max(1);
        Duration::from_millis(rand::random_range(most.div_ceil(2)..=most))
    }
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problem_and_bad_values_are_reported_together() {
        assert_eq!(ProjectionSettings::default().problems(), Vec::<String>::new());
        let bad = ProjectionSettings { workers: 0, backlog_records: 1, ..Default::default() };
        let problems = bad.problems().join("\n");
        assert!(problems.contains("workers") && problems.contains("backlog_records"), "{problems}");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = serde_json::from_str::<ProjectionSettings>(r#"{"worker": 2}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `worker`"), "{error}");
    }

    #[test]
    fn back_off_doubles_up_to_its_limit_and_never_below_half() {
        let settings = ProjectionSettings::default();
        for (attempt, most) in [(1, 100), (2, 200), (5, 1_600), (8, 10_000), (500, 10_000)] {
            let wait = settings.back_off(attempt).as_millis();
            assert!(wait <= most && wait >= most / 2, "attempt {attempt}: {wait}");
        }
    }
}
