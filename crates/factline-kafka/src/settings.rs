//! The `[kafka]` section of every service.

use factline_core::topic_name;
use serde::{Deserialize, Serialize};

/// How to reach Kafka and what its clients may do. Milliseconds end in `_ms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSettings {
    /// Bootstrap servers, `host:port`, separated by commas.
    pub brokers: String,
    /// First part of every event topic's name.
    pub topic_prefix: String,
    /// First part of every consumer group's name, its dot included.
    pub group_prefix: String,
    /// Names this process in the brokers' logs and quotas.
    pub client_id: String,
    /// Create missing topics at start. For the local profile; elsewhere an operator creates them
    /// and a missing topic stops the service.
    pub create_topics: bool,
    /// Ask the brokers how a topic that is there is set up, and refuse one that keeps less than the settings
    /// below ask for. Needs the right to describe a topic's configuration; off where nobody gives that.
    pub check_topics: bool,
    /// Copies of a created topic. 3 in production; 1 is all that one broker can hold.
    pub replication_factor: i32,
    /// How many copies must confirm a write to a created topic; one less than the copies lets one
    /// broker fail without stopping the relay.
    pub min_insync_replicas: i32,
    /// How long a created topic keeps its records. The store is the truth, so this only has to
    /// outlast the longest outage that consumers may have without a refill. -1 keeps all.
    pub retention_ms: i64,
    /// How long the client itself retries a record. Far above any outage that is waited for: a
    /// record that expires leaves a hole that the relay must close by sending again.
    pub message_timeout_ms: u32,
    /// How long the producer waits for company before it sends. 0 or 1: a burst is batched by
    /// itself, and every millisecond here is a millisecond of every event's latency.
    pub linger_ms: u32,
    /// How batches are packed.
    pub compression: Compression,
    /// How many records the producer holds unacknowledged. The send waits at this limit.
    pub producer_queue_messages: u32,
    /// A consumer that is silent for so long loses its partitions. Shorter recovers faster from a
    /// crash; longer forgives longer pauses of the machine.
    pub session_timeout_ms: u32,
    /// A consumer that does not poll for so long is taken for wedged. Polling never waits for
    /// work here, so a minute (the default is five) finds the wedged process early.
    pub max_poll_interval_ms: u32,
    /// How long a broker may hold an empty fetch. It answers at once when data comes.
    pub fetch_wait_max_ms: u32,
    /// How often the client reports statistics. They share the queue with the records, hence not
    /// below 5000; 0 switches them off.
    pub statistics_interval_ms: u32,
    /// How long one administrative request (metadata, watermarks, topic creation) may take.
    pub admin_timeout_ms: u32,
}

/// The batch codecs that every librdkafka build has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As they are.
    None,
    /// The cheapest for both sides; the default.
    Lz4,
    /// For brokers that lack lz4.
    Snappy,
    /// Smallest and slowest.
    Gzip,
}

impl Compression {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Snappy => "snappy",
            Self::Gzip => "gzip",
        }
    }
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".into(),
            topic_prefix: "factline".into(),
            group_prefix: "factline.".into(),
            client_id: "factline".into(),
            create_topics: false,
            check_topics: true,
            replication_factor: 3,
            min_insync_replicas: 2,
            retention_ms: 604_800_000, // a week: the longest unattended outage that we plan for
            message_timeout_ms: 300_000,
            linger_ms: 0,
            compression: Compression::Lz4,
            producer_queue_messages: 100_000, // librdkafka's default; 50 relay pages
            session_timeout_ms: 10_000,
            max_poll_interval_ms: 60_000,
            fetch_wait_max_ms: 500,
            statistics_interval_ms: 0,
            admin_timeout_ms: 10_000,
        }
    }
}

impl KafkaSettings {
    /// The topic of an aggregate kind.
    #[must_use]
    pub fn topic(&self, kind: &str) -> String {
        topic_name(&self.topic_prefix, kind)
    }

    /// The consumer group of a projection.
    #[must_use]
    pub fn group(&self, projection: &str) -> String {
        format!("{}{projection}", self.group_prefix)
    }

    /// Where a projection's parked events are exported to: `<group>.dlq`.
    #[must_use]
    pub fn dead_letters(&self, projection: &str) -> String {
        format!("{}.dlq", self.group(projection))
    }

    /// What is wrong with the values, as (key, detail); empty when they can be used.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, key: &'static str, detail: &str| {
            if !holds {
                problems.push((key, detail.to_owned()));
            }
        };
        require(!self.brokers.trim().is_empty(), "brokers", "is required");
        require(!self.topic_prefix.is_empty(), "topic_prefix", "is required");
        let spelling = "may hold only a-z A-Z 0-9 . _ - and at most 100 of them";
        require(is_name_part(&self.topic_prefix), "topic_prefix", spelling);
        require(is_name_part(&self.group_prefix), "group_prefix", spelling);
        require(self.replication_factor >= 1, "replication_factor", "must be at least 1");
        let insync = (1..=self.replication_factor).contains(&self.min_insync_replicas);
        require(insync, "min_insync_replicas", "must be 1 to replication_factor");
        let retention = self.retention_ms == -1 || self.retention_ms > 0;
        require(retention, "retention_ms", "must be above 0, or -1 for ever");
        require(self.message_timeout_ms >= 1_000, "message_timeout_ms", "must be at least 1000");
        require(self.linger_ms < 1_000, "linger_ms", "must be below 1000");
        let queue = self.producer_queue_messages >= 1;
        require(queue, "producer_queue_messages", "must be at least 1");
        // 6000 is the brokers' own lower limit by default.
        require(self.session_timeout_ms >= 6_000, "session_timeout_ms", "must be at least 6000");
        let poll = self.max_poll_interval_ms >= self.session_timeout_ms;
        require(poll, "max_poll_interval_ms", "must not be below session_timeout_ms");
        require(self.fetch_wait_max_ms <= 10_000, "fetch_wait_max_ms", "must be at most 10000");
        let statistics = !(1..5_000).contains(&self.statistics_interval_ms);
        require(statistics, "statistics_interval_ms", "must be 0 or at least 5000");
        require(self.admin_timeout_ms >= 100, "admin_timeout_ms", "must be at least 100");
        problems
    }
}

/// Kafka allows 249 bytes for a whole name; 100 leave room for a kind or a projection.
fn is_name_part(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    part.len() <= 100 && part.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_groups_and_dead_letters_are_named_by_one_rule() {
        let settings = KafkaSettings::default();
        assert_eq!(settings.topic("parcel"), "factline.parcel.v1");
        assert_eq!(settings.group("parcel-list"), "factline.parcel-list");
        assert_eq!(settings.dead_letters("parcel-list"), "factline.parcel-list.dlq");
    }

    #[test]
    fn the_defaults_have_no_problem() {
        assert_eq!(KafkaSettings::default().problems(), []);
    }

    #[test]
    fn every_problem_is_reported_in_one_go() {
        let settings = KafkaSettings {
            brokers: " ".into(),
            topic_prefix: "bad name".into(),
            replication_factor: 0,
            message_timeout_ms: 0,
            session_timeout_ms: 70_000,
            statistics_interval_ms: 100,
            ..KafkaSettings::default()
        };
        let keys: Vec<&str> = settings.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "brokers",
                "topic_prefix",
                "replication_factor",
                "min_insync_replicas",
                "message_timeout_ms",
                "max_poll_interval_ms",
                "statistics_interval_ms",
            ]
        );
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = serde_json::from_str::<KafkaSettings>(r#"{"broker": "x"}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `broker`"), "{error}");
    }
}
