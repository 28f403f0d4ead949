//! Reads a topic from its beginning, through the consumer of this project.

use std::{collections::HashMap, sync::Arc, time::Duration};

use factline_kafka::{
    Consumer, ConsumerEvent, ConsumerSpec, KafkaSettings, Record, StartAt, header,
};
use uuid::Uuid;

use super::SOON;

/// A record of a dead-letter topic.
pub struct Letter(pub Record);

impl Letter {
    pub fn text(&self, name: &str) -> Option<String> {
        header(&self.0.headers, name).map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    pub fn int(&self, name: &str) -> Option<i32> {
        header(&self.0.headers, name).map(|v| i32::from_be_bytes(v[..].try_into().unwrap()))
    }

    pub fn long(&self, name: &str) -> Option<i64> {
        header(&self.0.headers, name).map(|v| i64::from_be_bytes(v[..].try_into().unwrap()))
    }
}

/// The first `count` records of a topic.
pub async fn read_topic(kafka: &KafkaSettings, topic: &str, count: usize) -> Vec<Letter> {
    let group = format!("{topic}.reader.{}", Uuid::new_v4().simple());
    let mut consumer = Consumer::start(kafka, spec(&group, topic)).unwrap();
    let mut letters = Vec::new();
    let reading = async {
        while letters.len() < count {
            match consumer.next().await.unwrap() {
                ConsumerEvent::Assigned { partitions, reply, .. } => {
                    let starts = partitions.into_iter().map(|one| (one.id, StartAt::Beginning));
                    reply.send(starts.collect());
                }
                ConsumerEvent::Records(delivery) => {
                    letters.extend(delivery.records.into_iter().map(Letter));
                }
                ConsumerEvent::Revoked { reply, .. } => reply.send(Vec::new()),
                // The topic may not be there yet.
                ConsumerEvent::Trouble(_)
                | ConsumerEvent::Recovered
                | ConsumerEvent::OffsetLost { .. } => {}
                ended @ (ConsumerEvent::Failed(_) | ConsumerEvent::Closed { .. }) => {
                    panic!("reading {topic}: {ended:?}")
                }
            }
        }
    };
    let read = tokio::time::timeout(SOON, reading).await;
    assert!(read.is_ok(), "{topic} has fewer than {count} records");
    close(consumer).await;
    letters
}

/// Joins the group as its only member and commits this offset for every partition: what an operator
/// does by hand.
pub async fn rewind(kafka: &KafkaSettings, group: &str, topic: &str, offset: i64) {
    use factline_kafka::Progress;
    let mut consumer = Consumer::start(kafka, spec(group, topic)).unwrap();
    let mut held = HashMap::new();
    loop {
        if let ConsumerEvent::Assigned { epoch, partitions, reply } = consumer.next().await.unwrap()
        {
            held.extend(partitions.iter().map(|one| (one.id.clone(), epoch)));
            reply.send(partitions.into_iter().map(|one| (one.id, StartAt::Beginning)).collect());
            break;
        }
    }
    consumer.close();
    while let Some(event) = consumer.next().await {
        match event {
            ConsumerEvent::Revoked { reply, .. } => {
                let back =
                    held.drain().map(|(id, epoch)| Progress { id, epoch, next_offset: offset });
                reply.send(back.collect());
            }
            ConsumerEvent::Closed { .. } => return,
            _ => {}
        }
    }
}

pub fn spec(group: &str, topic: &str) -> ConsumerSpec {
    ConsumerSpec {
        group: group.to_owned(),
        topics: vec![Arc::from(topic)],
        backlog_records: 1_000,
        stall_after: Duration::from_secs(30),
        close_within: Duration::from_secs(10),
    }
}

pub async fn close(mut consumer: Consumer) {
    consumer.close();
    while let Some(event) = consumer.next().await {
        match event {
            ConsumerEvent::Revoked { reply, .. } => reply.send(Vec::new()),
            ConsumerEvent::Closed { .. } => return,
            _ => {}
        }
    }
}
