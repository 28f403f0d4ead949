//! The Kafka client alone, as its own documentation says that it is fastest: what the relay and the
//! projections are measured beside.

use std::time::{Duration, Instant};

use factline_kafka::KafkaSettings;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::failure::Failure;

/// How long a client may be without any news.
const PATIENCE: Duration = Duration::from_secs(30);
/// One record in so many lets the client report deliveries.
const SENDS_BETWEEN_POLLS: usize = 1_000;

/// A record to be sent, as it stood on a topic.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    partition: i32,
    key: Vec<u8>,
    value: Vec<u8>,
    headers: OwnedHeaders,
}

/// Reads a topic from its beginning, and shows every record to `look`. Blocks.
///
/// # Errors
/// The client fails, or nothing comes.
pub(crate) fn consume(
    kafka: &KafkaSettings,
    topic: &str,
    records: u64,
    mut look: impl FnMut(&rdkafka::message::BorrowedMessage<'_>),
) -> Result<u64, Failure> {
    let consumer: BaseConsumer =
        kafka.consumer_config(&format!("{topic}.raw")).create().map_err(told)?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).map_err(told)?;
    let mut assignment = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        let added = assignment.add_partition_offset(topic, partition.id(), Offset::Beginning);
        added.map_err(told)?;
    }
    consumer.assign(&assignment).map_err(told)?;
    let mut seen = 0;
    let mut last_news = Instant::now();
    while seen < records {
        match consumer.poll(Duration::from_millis(100)) {
            Some(record) => {
                look(&record.map_err(told)?);
                seen += 1;
            }
            None if last_news.elapsed() > PATIENCE => {
                return Err(Failure::new(format!("{seen} of {records} records came")));
            }
            None => continue,
        }
        if seen % 1_000 == 0 {
            last_news = Instant::now();
        }
    }
    Ok(seen)
}

/// The first records of a topic, to be sent again.
///
/// # Errors
/// As [`consume`].
pub(crate) fn samples(
    kafka: &KafkaSettings,
    topic: &str,
    count: u64,
) -> Result<Vec<Sample>, Failure> {
    let mut samples = Vec::new();
    consume(kafka, topic, count, |record| {
        samples.push(Sample {
            partition: record.partition(),
            key: record.key().unwrap_or_default().to_vec(),
            value: record.payload().unwrap_or_default().to_vec(),
            headers: record.headers().map(|headers| headers.detach()).unwrap_or_default(),
        });
    })?;
    Ok(samples)
}

/// Sends so many records, with the settings of the relay's own producer, and waits until all are
/// acknowledged. Blocks.
///
/// # Errors
/// The client fails.
pub(crate) fn produce(
    kafka: &KafkaSettings,
    topic: &str,
    samples: &[Sample],
    records: u64,
) -> Result<u64, Failure> {
    let producer: BaseProducer = kafka.producer_config().create().map_err(told)?;
    let count = usize::try_from(records).unwrap_or(usize::MAX);
    for (number, sample) in samples.iter().cycle().take(count).enumerate() {
        let record = || {
            BaseRecord::to(topic)
                .partition(sample.partition)
                .key(&sample.key)
                .payload(&sample.value)
                .headers(sample.headers.clone())
        };
        while let Err((error, _)) = producer.send(record()) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(told(error));
            }
            producer.poll(Duration::from_millis(1));
        }
        if number % SENDS_BETWEEN_POLLS == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(PATIENCE).map_err(told)?;
    Ok(records)
}

/// Whether a topic has the positions 1, 2, 3 … in each partition, in this order and so many in all;
/// a position that comes again after that is a repeat, which is allowed and counted.
///
/// # Errors
/// As [`consume`].
pub(crate) fn dense(
    kafka: &KafkaSettings,
    topic: &str,
    events: u64,
) -> Result<Result<String, String>, Failure> {
    let mut last = std::collections::HashMap::<i32, u64>::new();
    let mut wrong = None;
    consume(kafka, topic, events, |record| {
        let position = record.headers().and_then(position_of).unwrap_or_default();
        let last = last.entry(record.partition()).or_default();
        if position == *last + 1 {
            *last = position;
        } else {
            wrong.get_or_insert(format!("{}: {position} after {last}", record.partition()));
        }
    })?;
    let seen: u64 = last.values().sum();
    Ok(match wrong {
        None if seen == events => Ok(format!("{events} records, dense, each once")),
        None => Err(format!("{seen} of {events} positions")),
        Some(wrong) => Err(wrong),
    })
}

fn position_of(headers: &rdkafka::message::BorrowedHeaders) -> Option<u64> {
    let of_it = |header: &Header<'_, &[u8]>| header.key == "ce_sequence";
    std::str::from_utf8(headers.iter().find(of_it)?.value?).ok()?.parse().ok()
}

fn told(error: KafkaError) -> Failure {
    Failure::new(format!("kafka: {error}"))
}

/// Runs what blocks beside the runtime.
///
/// # Errors
/// The work's own.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::new(error.to_string()))?
}
