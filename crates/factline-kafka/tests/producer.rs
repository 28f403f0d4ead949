//! The producer against librdkafka's mock cluster, which fails on command. What a real broker
//! proves is in `cluster.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on has to end

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use factline_core::Fault;
use factline_kafka::{Admin, KafkaSettings, Outgoing, Producer, Record, SendFailure};
use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

const TOPIC: &str = "parcels";

type Mock = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> (Mock, KafkaSettings) {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic(TOPIC, 1, 1).unwrap();
    let settings = KafkaSettings { brokers: mock.bootstrap_servers(), ..KafkaSettings::default() };
    (mock, settings)
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<Outgoing> {
    let topic: Arc<str> = TOPIC.into();
    numbers
        .map(|number| Outgoing {
            topic: Arc::clone(&topic),
            partition: Some(0),
            key: Some(Bytes::from_static(b"key")),
            value: Some(Bytes::from(number.to_string())),
            headers: vec![("n".into(), Some(Bytes::from(number.to_string())))],
        })
        .collect()
}

async fn written(settings: &KafkaSettings) -> Vec<usize> {
    let number = |record: Record| {
        std::str::from_utf8(&record.value.unwrap()).unwrap().parse::<usize>().unwrap()
    };
    let admin = Admin::new(settings).unwrap();
    let records = admin.records(TOPIC, 0, 0, usize::MAX).await.unwrap();
    records.into_iter().map(number).collect()
}

async fn fails(producer: &Producer, records: Vec<Outgoing>) -> SendFailure {
    producer.send_all(records).await.expect_err("the batch fails")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r16_a_full_queue_delays_a_batch_and_keeps_its_order() {
    let (_mock, settings) = cluster();
    let narrow = KafkaSettings { producer_queue_messages: 7, ..settings.clone() };
    let producer = Producer::new(&narrow).unwrap();
    producer.send_all(numbered(0..500)).await.unwrap();
    producer.send_all(numbered(500..700)).await.unwrap();
    producer.close(Duration::from_secs(10)).await.unwrap();
    assert_eq!(written(&settings).await, (0..700).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_without_records_succeeds() {
    let (_mock, settings) = cluster();
    Producer::new(&settings).unwrap().send_all(Vec::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r18_records_that_expire_fail_their_batch_and_spend_the_producer() {
    let (mock, settings) = cluster();
    let hasty = KafkaSettings { message_timeout_ms: 1_000, ..settings.clone() };
    let producer = Producer::new(&hasty).unwrap();
    producer.send_all(numbered(0..10)).await.unwrap();

    mock.broker_down(-1).unwrap();
    let failure = fails(&producer, numbered(10..20)).await;
    assert_eq!((failure.acknowledged, failure.total), (0, 10));
    assert!(matches!(failure.source, Fault::Transient { .. }), "{}", failure.source);

    mock.broker_up(-1).unwrap();
    let spent = fails(&producer, numbered(10..20)).await;
    assert!(spent.source.to_string().contains("must be replaced"), "{}", spent.source);
    drop(producer);

    let next = Producer::new(&settings).unwrap();
    next.send_all(numbered(10..20)).await.unwrap();
    let topic = written(&settings).await;
    assert_eq!(applied(&topic), 20, "{topic:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_by_the_broker_fails_the_batch_and_is_fatal_to_whoever_reads_it() {
    let (mock, settings) = cluster();
    let producer = Producer::new(&settings).unwrap();
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    mock.request_errors(RDKafkaApiKey::Produce, &[refused]);
    let failure = fails(&producer, numbered(0..10)).await;
    assert!(matches!(failure.source, Fault::Fatal { .. }), "{}", failure.source);
    drop(producer);

    let next = Producer::new(&settings).unwrap();
    next.send_all(numbered(0..10)).await.unwrap();
    assert_eq!(applied(&written(&settings).await), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_moves_away_for_a_moment_is_nobodys_business() {
    let (mock, settings) = cluster();
    let moved = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    mock.request_errors(RDKafkaApiKey::Produce, &[moved, moved]);
    let producer = Producer::new(&settings).unwrap();
    producer.send_all(numbered(0..50)).await.unwrap();
    assert_eq!(written(&settings).await, (0..50).collect::<Vec<_>>(), "in order, none twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_given_up_by_its_caller_spends_the_producer() {
    let (mock, settings) = cluster();
    let producer = Producer::new(&settings).unwrap();
    mock.broker_down(-1).unwrap();
    tokio::select! {
        biased;
        _ = producer.send_all(numbered(0..5)) => panic!("no broker can have acknowledged"),
        () = tokio::task::yield_now() => {}
    }
    let spent = fails(&producer, numbered(0..5)).await;
    assert!(spent.source.to_string().contains("must be replaced"), "{}", spent.source);
}

/// How far a reader comes that takes only the successor of what it took last.
fn applied(topic: &[usize]) -> usize {
    topic.iter().fold(0, |next, number| if *number == next { next + 1 } else { next })
}
