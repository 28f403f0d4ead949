//! The bare way through the same parts, one event at a time on an idle machine: commit, produce,
//! receive, commit. No system with these parts is faster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bench_load::{Gauge, Measured, Notes};
use factline_kafka::{Admin, KafkaSettings, Outgoing, Producer};
use factline_testkit::{TestDatabase, unique_prefix};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use sqlx::{Connection, PgConnection};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::failure::Failure;
use crate::report::Slot;
use crate::surroundings::Surroundings;

/// As large as an event of a sale with its headers.
const VALUE_BYTES: usize = 500;

/// Goes the way again and again.
///
/// # Errors
/// A part fails.
pub(super) async fn measure(
    slot: &Slot<'_>,
    surroundings: &Surroundings,
) -> Result<Measured, Failure> {
    let database = TestDatabase::create("bench_bare").await;
    let topic = unique_prefix("bench_bare");
    let brokers = surroundings.addresses.kafka.clone();
    let kafka = KafkaSettings {
        brokers,
        create_topics: true,
        replication_factor: 1, // one broker
        min_insync_replicas: 1,
        ..KafkaSettings::default()
    };
    Admin::new(&kafka)?.ensure_topic(&topic, 1, &kafka.topic_config()).await?;
    let gauge = Gauge::new();
    let received = receive(&kafka, &topic, gauge.notes())?;
    let way = Way::open(&kafka, topic.into(), &database.url(), received).await?;
    let workers = [way.go(gauge.notes())];
    let meter = surroundings.meter_with_kafka();
    Ok(bench_load::measure(&gauge, slot.pace, &meter, workers, async || {}).await?)
}

struct Way {
    topic: Arc<str>,
    producer: Producer,
    writer: PgConnection,
    reader: PgConnection,
    received: UnboundedReceiver<()>,
}

impl Way {
    async fn open(
        kafka: &KafkaSettings,
        topic: Arc<str>,
        url: &str,
        received: UnboundedReceiver<()>,
    ) -> Result<Way, Failure> {
        let mut writer = PgConnection::connect(url).await?;
        let reader = PgConnection::connect(url).await?;
        sqlx::raw_sql("create table events (value bytea); create table effects (number bigint)")
            .execute(&mut writer)
            .await?;
        Ok(Way { topic, producer: Producer::new(kafka)?, writer, reader, received })
    }

    async fn go(mut self, notes: Notes) -> Result<(), Failure> {
        let value = vec![b'x'; VALUE_BYTES];
        while !notes.is_over() {
            let began = Instant::now();
            let insert = sqlx::query("insert into events values ($1)").bind(&value);
            insert.execute(&mut self.writer).await?;
            let record = Outgoing {
                topic: Arc::clone(&self.topic),
                partition: Some(0),
                key: None,
                value: Some(value.clone().into()),
                headers: Vec::new(),
            };
            let sent = self.producer.send_all(vec![record]).await;
            sent.map_err(|failure| Failure::new(failure.to_string()))?;
            self.received.recv().await.ok_or_else(|| Failure::new("the consumer ended"))?;
            let insert = sqlx::query("insert into effects values ($1)").bind(1_i64);
            insert.execute(&mut self.reader).await?;
            notes.note(1, began.elapsed());
        }
        Ok(())
    }
}

/// A consumer on a thread of its own that tells of each record.
fn receive(
    kafka: &KafkaSettings,
    topic: &str,
    notes: Notes,
) -> Result<UnboundedReceiver<()>, Failure> {
    let told = |error: rdkafka::error::KafkaError| Failure::new(format!("kafka: {error}"));
    let consumer: BaseConsumer =
        kafka.consumer_config(&format!("{topic}.bare")).create().map_err(told)?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning).map_err(told)?;
    consumer.assign(&assignment).map_err(told)?;
    let (sender, receiver) = unbounded_channel();
    std::thread::spawn(move || {
        while !notes.is_over() {
            if let Some(Ok(_)) = consumer.poll(Duration::from_millis(100))
                && sender.send(()).is_err()
            {
                return;
            }
        }
    });
    Ok(receiver)
}
