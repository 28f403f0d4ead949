//! [`KafkaSettings`] in, librdkafka's configuration out: every setting that must differ from
//! librdkafka's defaults, with what goes wrong otherwise.

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use crate::KafkaSettings;

/// What the producer may hold in memory before a send waits; librdkafka's own limit is 1 GiB.
const PRODUCER_QUEUE_KIBIBYTES: u32 = 65_536;
/// What a consumer may prefetch per partition. Enough for 100 ms at full speed; librdkafka's own
/// limit, 64 MiB, times the partitions would be most of a small machine.
const CONSUMER_QUEUE_KIBIBYTES: u32 = 8_192;
/// Three heartbeats fit into a session, so that one lost packet costs nothing.
const HEARTBEATS_PER_SESSION: u32 = 3;

/// The client library's version, for the line that a service logs at start: some faults are cured
/// by another librdkafka alone.
#[must_use]
pub fn librdkafka_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

impl KafkaSettings {
    /// What all clients share; alone it is the administrative client's configuration.
    #[must_use]
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.client_id)
            .set("socket.keepalive.enable", "true")
            // A broker that comes back is found again within a second; the default is ten.
            .set("reconnect.backoff.max.ms", "1000")
            // Statistics and logs share the queue with deliveries and records.
            .set("statistics.interval.ms", self.statistics_interval_ms.to_string())
            .set_log_level(RDKafkaLogLevel::Warning);
        config
    }

    /// The producer: idempotent, acknowledged by all in-sync replicas.
    #[must_use]
    pub fn producer_config(&self) -> ClientConfig {
        let mut config = self.client_config();
        config
            // Retries inside the client neither repeat nor reorder.
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", self.message_timeout_ms.to_string())
            .set("linger.ms", self.linger_ms.to_string())
            .set("compression.codec", self.compression.name())
            // The default (crc32) would place a key elsewhere than every JVM tool.
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.messages", self.producer_queue_messages.to_string())
            .set("queue.buffering.max.kbytes", PRODUCER_QUEUE_KIBIBYTES.to_string());
        config
    }

    /// A consumer of a group: nothing is committed, stored, reset or created behind our back.
    #[must_use]
    pub fn consumer_config(&self, group: &str) -> ClientConfig {
        let heartbeat_ms = self.session_timeout_ms / HEARTBEATS_PER_SESSION;
        let mut config = self.client_config();
        config
            .set("group.id", group)
            // Progress is committed by hand, after the read model's transaction.
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // A lost offset is an alarm, never a silent jump.
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            // A rebalance takes only the partitions that move.
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", self.session_timeout_ms.to_string())
            .set("heartbeat.interval.ms", heartbeat_ms.to_string())
            .set("max.poll.interval.ms", self.max_poll_interval_ms.to_string())
            .set("fetch.min.bytes", "1")
            .set("fetch.wait.max.ms", self.fetch_wait_max_ms.to_string())
            // The default stalls a full prefetch queue for up to a second.
            .set("fetch.queue.backoff.ms", "5")
            .set("queued.max.messages.kbytes", CONSUMER_QUEUE_KIBIBYTES.to_string());
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_has(config: &ClientConfig, golden: &[(&str, &str)]) {
        let native = config.create_native_config().expect("librdkafka knows every setting");
        for (key, value) in golden {
            assert_eq!(native.get(key).expect(key), *value, "{key}");
        }
    }

    #[test]
    fn the_producer_differs_from_librdkafkas_defaults_where_it_must() {
        assert_has(
            &KafkaSettings::default().producer_config(),
            &[
                ("enable.idempotence", "true"),
                ("message.timeout.ms", "300000"),
                ("linger.ms", "0"),
                ("compression.codec", "lz4"),
                ("queue.buffering.max.messages", "100000"),
                ("queue.buffering.max.kbytes", "65536"),
                ("reconnect.backoff.max.ms", "1000"),
                ("statistics.interval.ms", "0"),
            ],
        );
        let config = KafkaSettings::default().producer_config();
        assert_eq!(config.get("acks"), Some("all"));
        assert_eq!(config.get("partitioner"), Some("murmur2_random"));
    }

    #[test]
    fn the_consumer_differs_from_librdkafkas_defaults_where_it_must() {
        assert_has(
            &KafkaSettings::default().consumer_config("factline.parcel-list"),
            &[
                ("group.id", "factline.parcel-list"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"),
                ("allow.auto.create.topics", "false"),
                ("isolation.level", "read_committed"),
                ("check.crcs", "true"),
                ("partition.assignment.strategy", "cooperative-sticky"),
                ("session.timeout.ms", "10000"),
                ("heartbeat.interval.ms", "3333"),
                ("max.poll.interval.ms", "60000"),
                ("fetch.min.bytes", "1"),
                ("fetch.wait.max.ms", "500"),
                ("fetch.queue.backoff.ms", "5"),
                ("queued.max.messages.kbytes", "8192"),
            ],
        );
    }

    #[test]
    fn the_version_of_the_client_library_can_be_told() {
        assert!(librdkafka_version().starts_with("2."), "{}", librdkafka_version());
    }
}
