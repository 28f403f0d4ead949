//! Reading a topic as another team would: with a plain Kafka client.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};

use crate::System;

/// Longer than creating the topic and exporting to it takes on a loaded machine.
const SOON: Duration = Duration::from_secs(60);

/// One record of a topic.
#[derive(Debug, Clone)]
pub struct TopicRecord {
    /// As the record came.
    pub key: Option<Vec<u8>>,
    /// As the record came.
    pub value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
}

impl TopicRecord {
    /// A header's value as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// The first `count` records of a projection's dead-letter topic.
pub async fn dead_letters(system: &System, projection: &str, count: usize) -> Vec<TopicRecord> {
    topic_records(system, &format!("{}.dlq", system.group(projection)), count).await
}

/// The first `count` records of a topic.
pub async fn topic_records(system: &System, topic: &str, count: usize) -> Vec<TopicRecord> {
    let (brokers, topic) = (system.stack().kafka.clone(), topic.to_owned());
    tokio::task::spawn_blocking(move || read(&brokers, &topic, count)).await.unwrap()
}

fn read(brokers: &str, topic: &str, count: usize) -> Vec<TopicRecord> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", format!("{topic}.reader"))
        .set("auto.offset.reset", "earliest")
        .set("topic.metadata.refresh.interval.ms", "500") // the topic may not be there yet
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let mut records = Vec::new();
    let give_up_at = Instant::now() + SOON;
    while records.len() < count {
        assert!(Instant::now() < give_up_at, "{topic} holds {} of {count} records", records.len());
        if let Some(Ok(record)) = consumer.poll(Duration::from_millis(200)) {
            let headers = record.headers().map(|headers| {
                headers
                    .iter()
                    .map(|header| (header.key.to_owned(), header.value.unwrap_or(&[]).to_vec()))
                    .collect()
            });
            records.push(TopicRecord {
                key: record.key().map(<[u8]>::to_vec),
                value: record.payload().map(<[u8]>::to_vec),
                headers: headers.unwrap_or_default(),
            });
        }
    }
    records
}
