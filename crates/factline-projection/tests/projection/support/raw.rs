//! A producer that is not ours: it sets timestamps, and it opens transactions that it does not commit.

use std::time::Duration;

use factline_kafka::{KafkaSettings, Outgoing};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier},
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use super::SOON;

/// Calls block: a test's runtime has more threads than one.
pub struct Raw(BaseProducer);

impl Raw {
    pub fn plain(kafka: &KafkaSettings) -> Self {
        Self(config(kafka).create().unwrap())
    }

    pub fn transactional(kafka: &KafkaSettings) -> Self {
        let mut config = config(kafka);
        config.set("transactional.id", format!("{}foreign", kafka.group_prefix));
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(SOON).unwrap();
        Self(producer)
    }

    pub fn begin(&self) {
        self.0.begin_transaction().unwrap();
    }

    pub fn abort(&self) {
        self.0.abort_transaction(SOON).unwrap();
    }

    pub fn commit(&self) {
        self.0.commit_transaction(SOON).unwrap();
    }

    /// Sends and waits until the broker has it.
    pub fn send(&self, record: &Outgoing, timestamp_ms: Option<i64>) {
        let mut wire = BaseRecord::<[u8], [u8]>::to(&record.topic);
        wire.partition = record.partition;
        wire.key = record.key.as_deref();
        wire.payload = record.value.as_deref();
        wire.timestamp = timestamp_ms;
        let insert = |headers: OwnedHeaders, (key, value): &(_, Option<bytes::Bytes>)| {
            let key: &factline_kafka::HeaderName = key;
            headers.insert(Header { key, value: value.as_deref() })
        };
        wire.headers = Some(record.headers.iter().fold(OwnedHeaders::new(), insert));
        self.0.send(wire).map_err(|(error, _)| error).unwrap();
        self.0.flush(SOON).unwrap();
    }
}

fn config(kafka: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.brokers).set("enable.idempotence", "true");
    config
}

/// Without this a broker refuses what is dated more than an hour ahead; a cluster of another make,
/// or of other settings, does not.
pub async fn take_any_timestamp(kafka: &KafkaSettings, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = config(kafka).create().unwrap();
    let most = i64::MAX.to_string();
    let topic = AlterConfig::new(ResourceSpecifier::Topic(topic))
        .set("message.timestamp.after.max.ms", &most)
        .set("message.timestamp.before.max.ms", &most);
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(30)));
    let altered = admin.alter_configs([&topic], &options).await.unwrap();
    altered.into_iter().for_each(|one| drop(one.unwrap()));
}
