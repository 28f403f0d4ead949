//! What the read side finds after an outage: a log full of events, and a topic full of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use factline_codec::{Registry, RegistrySettings};
use factline_kafka::KafkaSettings;
use factline_log::{LogReader, RelayCursors};
use factline_relay::{Relay, RelayParts, RelaySettings, RelayStatus};
use factline_testkit::unique_prefix;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::append::ours;
use crate::failure::Failure;
use crate::log::CellLog;
use crate::surroundings::Surroundings;

/// How often progress is looked at: a drain takes seconds.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A drain that takes longer has stopped.
const WITHIN: Duration = Duration::from_secs(300);

/// Events in a log of its own, and the names of a topic and groups of its own.
pub(crate) struct Backlog {
    pub(crate) log: CellLog,
    /// How many.
    pub(crate) events: u64,
    pub(crate) kafka: KafkaSettings,
    pub(crate) registry: RegistrySettings,
}

impl Backlog {
    /// Appends at least so many events.
    ///
    /// # Errors
    /// The log does not take them.
    pub(crate) async fn fill(events: u64, surroundings: &Surroundings) -> Result<Backlog, Failure> {
        let prefix = unique_prefix("bench");
        let log = CellLog::of_topic(&factline_core::topic_name(&prefix, "parcel")).await?;
        ours::fill(&log, events).await?;
        let heads = LogReader::new(&log.settings.owner_url, 1)?.heads(&log.topic).await?;
        let events = heads.iter().map(|(_, head)| head.0.unsigned_abs()).sum();
        let kafka = KafkaSettings {
            brokers: surroundings.addresses.kafka.clone(),
            group_prefix: format!("{prefix}."),
            topic_prefix: prefix,
            create_topics: true,
            replication_factor: 1, // one broker
            min_insync_replicas: 1,
            ..KafkaSettings::default()
        };
        let registry = RegistrySettings {
            url: surroundings.addresses.registry_url.clone(),
            timeout_ms: 5_000,
            auto_register: true,
        };
        Ok(Backlog { log, events, kafka, registry })
    }

    /// Lets a relay with default settings bring everything to Kafka, from its first look to the
    /// cursor that says that all is acknowledged.
    ///
    /// # Errors
    /// The relay does not finish.
    pub(crate) async fn relay(&self) -> Result<u64, Failure> {
        let reader = LogReader::new(&self.log.settings.url, 2)?;
        let cursors = RelayCursors::new(&reader);
        let (relay, status) = Relay::new(RelayParts {
            topic: self.log.topic.as_str().into(),
            reader: reader.clone(),
            cursors: cursors.clone(),
            registry: Arc::new(Registry::new(&self.registry)?),
            registry_url: self.registry.url.clone(),
            kafka: self.kafka.clone(),
            settings: RelaySettings::default(),
            wake: Arc::new(Notify::new()),
        })?;
        let stop = CancellationToken::new();
        let running = tokio::spawn(relay.run(stop.clone()));
        let deadline = Instant::now() + WITHIN;
        let mut acknowledged = 0;
        while acknowledged < self.events {
            let failed = matches!(&*status.borrow(), RelayStatus::Failed(_));
            if failed || Instant::now() > deadline || running.is_finished() {
                let told = status.borrow().clone();
                return Err(Failure::new(format!("the relay does not finish: {told:?}")));
            }
            sleep(LOOK_EVERY).await;
            let cursors = cursors.load(&self.log.topic).await?;
            acknowledged = cursors.iter().map(|(_, cursor)| cursor.0.unsigned_abs()).sum();
        }
        stop.cancel();
        running.await.map_err(|error| Failure::new(error.to_string()))?;
        Ok(acknowledged)
    }
}
