//! Questions to the cluster and the creation of topics; never on a hot path.
//!
//! Every call of the client blocks, so each runs where blocking is allowed and has a deadline.
//!
//! A topic's id would tell a recreated topic from the one before. The client library knows it
//! (`rd_kafka_DescribeTopics`) but its Rust wrapper does not expose it, so a recreated topic is
//! recognised by what else gives it away: its partition count, and watermarks below an offset that
//! was already read.

use std::{sync::Arc, time::Duration};

use factline_core::{Fault, Source};
use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, KafkaResult},
    types::RDKafkaErrorCode,
};

use crate::{KafkaSettings, Record, classify, context::LoggingContext, fault::classify_code};

mod cut;
mod demands;

impl ConsumerContext for LoggingContext {}

type Administrator = AdminClient<LoggingContext>;

/// How often a created topic is looked for until the brokers show it.
const CREATION_POLL: Duration = Duration::from_millis(20);

/// A connection for administration, made once a process and shared.
#[derive(Clone)]
pub struct Admin {
    settings: Arc<KafkaSettings>,
    /// Has no group, so it never joins one and closes at once.
    client: Arc<BaseConsumer<LoggingContext>>,
}

/// How a topic is created. Always `cleanup.policy=delete`: a compacted event topic would lose
/// events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfig {
    /// Copies.
    pub replication_factor: i32,
    /// Copies that must confirm a write.
    pub min_insync_replicas: i32,
    /// How long records are kept; -1 keeps all.
    pub retention_ms: i64,
}

/// What the cluster says about a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// How many partitions.
    pub partitions: i32,
    /// Copies of the partition with the fewest.
    pub replication_factor: i32,
}

/// The ends of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// From 0.
    pub partition: i32,
    /// The oldest offset that is still there.
    pub low: i64,
    /// The offset that the next record gets.
    pub high: i64,
}

/// A topic is not what the store says it is.
#[derive(Debug, thiserror::Error)]
enum WrongTopic {
    #[error("topic {0} does not exist and kafka.create_topics is off")]
    Missing(String),
    #[error("topic {topic} has {found} partitions where {expected} were recorded")]
    Partitions { topic: String, found: i32, expected: i32 },
    #[error("topic {topic} is not as the settings ask: {}", lacks.join("; "))]
    Lacking { topic: String, lacks: Vec<String> },
    #[error("topic {0} was created but the brokers do not show it yet")]
    NotShown(String),
}

impl KafkaSettings {
    /// How this service creates topics.
    #[must_use]
    pub fn topic_config(&self) -> TopicConfig {
        TopicConfig {
            replication_factor: self.replication_factor,
            min_insync_replicas: self.min_insync_replicas,
            retention_ms: self.retention_ms,
        }
    }
}

impl Admin {
    /// Connects in the background.
    ///
    /// # Errors
    /// Fatal when librdkafka refuses the settings.
    pub fn new(settings: &KafkaSettings) -> Result<Self, Fault> {
        let client = settings
            .client_config()
            .create_with_context(LoggingContext)
            .map_err(|error| classify("creating a kafka client", error))?;
        Ok(Self { settings: Arc::new(settings.clone()), client: Arc::new(client) })
    }

    /// Makes sure that the topic is there with exactly so many partitions, and that one that was there
    /// keeps what it is given no less than `config` asks (with `kafka.check_topics`); creates it when it is missing and
    /// `kafka.create_topics` is on. Two processes may do so at once.
    ///
    /// # Errors
    /// Fatal when the topic is missing, has another number of partitions, or may lose more than is asked for.
    pub async fn ensure_topic(
        &self,
        name: &str,
        partitions: i32,
        config: &TopicConfig,
    ) -> Result<TopicInfo, Fault> {
        const CHECKING: &str = "checking a topic";
        let info = match self.topic_info(name).await? {
            Some(info) if self.settings.check_topics => {
                let lacks = self.lacks(name, &info, config).await?;
                if !lacks.is_empty() {
                    let wrong = WrongTopic::Lacking { topic: name.to_owned(), lacks };
                    return Err(Fault::fatal(CHECKING, wrong));
                }
                info
            }
            Some(info) => info,
            None if self.settings.create_topics => {
                self.create_topic(name, partitions, config).await?;
                self.await_topic(name).await?
            }
            None => {
                let missing = WrongTopic::Missing(name.to_owned());
                return Err(Fault::fatal("looking for a topic", missing));
            }
        };
        if info.partitions != partitions {
            let (topic, found, expected) = (name.to_owned(), info.partitions, partitions);
            let wrong = WrongTopic::Partitions { topic, found, expected };
            return Err(Fault::fatal(CHECKING, wrong));
        }
        Ok(info)
    }

    /// What the cluster says about a topic; `None` when there is none of this name. Never creates
    /// one.
    ///
    /// # Errors
    /// The cluster did not answer in time, or refused.
    pub async fn topic_info(&self, name: &str) -> Result<Option<TopicInfo>, Fault> {
        const DOING: &str = "asking for a topic";
        let name = name.to_owned();
        self.ask(DOING, move |client, deadline| {
            let metadata = client
                .fetch_metadata(Some(&name), deadline)
                .map_err(|error| classify(DOING, error))?;
            let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
                return Ok(None);
            };
            if let Some(error) = topic.error().map(RDKafkaErrorCode::from) {
                return match error {
                    RDKafkaErrorCode::UnknownTopicOrPartition => Ok(None),
                    code => Err(classify_code(DOING, code, code)),
                };
            }
            let partitions = topic.partitions();
            Ok(Some(TopicInfo {
                partitions: count(partitions.len()),
                replication_factor: partitions
                    .iter()
                    .map(|partition| count(partition.replicas().len()))
                    .min()
                    .unwrap_or(0),
            }))
        })
        .await
    }

    /// The ends of each of the topic's partitions, in the order of the partitions.
    ///
    /// # Errors
    /// The cluster did not answer in time; fatal when there is no such topic.
    pub async fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, Fault> {
        const DOING: &str = "asking for watermarks";
        let Some(info) = self.topic_info(topic).await? else {
            return Err(Fault::fatal(DOING, WrongTopic::Missing(topic.to_owned())));
        };
        let topic = topic.to_owned();
        self.ask(DOING, move |client, deadline| {
            (0..info.partitions)
                .map(|partition| {
                    client
                        .fetch_watermarks(&topic, partition, deadline)
                        .map(|(low, high)| Watermarks { partition, low, high })
                        .map_err(|error| classify(DOING, error))
                })
                .collect()
        })
        .await
    }

    /// What a group has committed on a topic, a row per partition in their order: the offset of
    /// the next record that it would read, or `None` when it never committed there.
    ///
    /// # Errors
    /// The cluster did not answer in time; fatal when there is no such topic.
    pub async fn committed(
        &self,
        group: &str,
        topic: &str,
    ) -> Result<Vec<(i32, Option<i64>)>, Fault> {
        const DOING: &str = "asking for a group's committed offsets";
        let Some(info) = self.topic_info(topic).await? else {
            return Err(Fault::fatal(DOING, WrongTopic::Missing(topic.to_owned())));
        };
        let config = self.settings.consumer_config(group);
        let topic = topic.to_owned();
        self.ask(DOING, move |_, deadline| {
            // Asks as a member would, but never subscribes, so it joins nothing.
            let asker: BaseConsumer<LoggingContext> = config
                .create_with_context(LoggingContext)
                .map_err(|error| classify(DOING, error))?;
            let mut wanted = TopicPartitionList::new();
            for partition in 0..info.partitions {
                wanted.add_partition(&topic, partition);
            }
            let found = asker
                .committed_offsets(wanted, deadline)
                .map_err(|error| classify(DOING, error))?;
            let mut rows: Vec<_> = found
                .elements()
                .iter()
                .map(|row| match row.offset() {
                    Offset::Offset(next) => (row.partition(), Some(next)),
                    _ => (row.partition(), None),
                })
                .collect();
            rows.sort_unstable();
            Ok(rows)
        })
        .await
    }

    /// What a partition holds from an offset on, to its end at this moment or to `limit`, whichever
    /// comes first. For checks and for looking at dead letters; it is in no group's way.
    ///
    /// # Errors
    /// The cluster did not answer in time; fatal when the offset is not there any more.
    pub async fn records(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        limit: usize,
    ) -> Result<Vec<Record>, Fault> {
        const DOING: &str = "reading a partition";
        // The client wants a group's name even of one who joins none.
        let mut config = self.settings.consumer_config(&self.settings.group("reader"));
        config.set("enable.partition.eof", "true");
        let topic: Arc<str> = topic.into();
        self.ask(DOING, move |_, deadline| {
            let failed = |error| classify(DOING, error);
            let reader: BaseConsumer<LoggingContext> =
                config.create_with_context(LoggingContext).map_err(failed)?;
            let mut place = TopicPartitionList::new();
            place.add_partition_offset(&topic, partition, Offset::Offset(from)).map_err(failed)?;
            reader.assign(&place).map_err(failed)?;
            let mut records = Vec::new();
            while records.len() < limit {
                match reader.poll(deadline) {
                    Some(Ok(message)) => records.push(Record::copied(&message, &topic)),
                    Some(Err(KafkaError::PartitionEOF(_))) => break,
                    Some(Err(error)) => return Err(failed(error)),
                    None => return Err(failed(KafkaError::NoMessageReceived)),
                }
            }
            Ok(records)
        })
        .await
    }

    async fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        config: &TopicConfig,
    ) -> Result<(), Fault> {
        const DOING: &str = "creating a topic";
        let (min_insync, retention) =
            (config.min_insync_replicas.to_string(), config.retention_ms.to_string());
        let replication = TopicReplication::Fixed(config.replication_factor);
        let topic = NewTopic::new(name, partitions, replication)
            .set("cleanup.policy", "delete")
            .set("min.insync.replicas", &min_insync)
            .set("retention.ms", &retention);
        let creating = async |client: &Administrator, options: &_| {
            client.create_topics([&topic], options).await
        };
        for result in self.administrate(DOING, creating).await? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(classify_code(DOING, code, code)),
            }
        }
        Ok(())
    }

    async fn await_topic(&self, name: &str) -> Result<TopicInfo, Fault> {
        let until = tokio::time::Instant::now() + self.deadline();
        while tokio::time::Instant::now() < until {
            if let Some(info) = self.topic_info(name).await?
                && info.partitions > 0
            {
                return Ok(info);
            }
            tokio::time::sleep(CREATION_POLL).await;
        }
        Err(Fault::transient("creating a topic", WrongTopic::NotShown(name.to_owned())))
    }

    async fn ask<T: Send + 'static>(
        &self,
        doing: &'static str,
        question: impl FnOnce(&BaseConsumer<LoggingContext>, Duration) -> Result<T, Fault>
        + Send
        + 'static,
    ) -> Result<T, Fault> {
        let (client, deadline) = (Arc::clone(&self.client), self.deadline());
        let asked = tokio::task::spawn_blocking(move || {
            let answer = question(&client, deadline);
            // Log lines and errors wait in the queue until somebody polls.
            while client.poll(Duration::ZERO).is_some() {}
            answer
        });
        asked.await.unwrap_or_else(|join| Err(Fault::transient(doing, Source::from(join))))
    }

    /// One request of an administrator, by a client of its own: a lasting one would collect log lines
    /// that nobody polls.
    async fn administrate<T>(
        &self,
        doing: &'static str,
        request: impl AsyncFnOnce(&Administrator, &AdminOptions) -> KafkaResult<T>,
    ) -> Result<T, Fault> {
        let failed = |error| classify(doing, error);
        let config = self.settings.client_config();
        let client: Administrator = config.create_with_context(LoggingContext).map_err(failed)?;
        let options = AdminOptions::new()
            .request_timeout(Some(self.deadline()))
            .operation_timeout(Some(self.deadline()));
        let answer = request(&client, &options).await;
        // The client's drop joins a thread that looks up every 100 ms.
        tokio::task::spawn_blocking(move || drop(client));
        answer.map_err(failed)
    }

    fn deadline(&self) -> Duration {
        Duration::from_millis(self.settings.admin_timeout_ms.into())
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("brokers", &self.settings.brokers).finish_non_exhaustive()
    }
}

/// Kafka counts partitions and replicas in 32 bits.
fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
