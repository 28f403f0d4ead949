//! The relay when single sends fail: Kafka is librdkafka's mock cluster, which fails on command.

use factline_kafka::KafkaSettings;
use factline_relay::RelayStatus;
use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use crate::support::{PARTITIONS, Running, World};

async fn on_a_mock(test: &str) -> (MockCluster<'static, DefaultProducerContext>, World) {
    let mut world = World::new(test).await;
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic(&world.topic, PARTITIONS, 1).unwrap();
    world.kafka = KafkaSettings {
        brokers: mock.bootstrap_servers(),
        check_topics: false, // the mock has no answer to that
        message_timeout_ms: 1_000,
        ..world.kafka
    };
    (mock, world)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r18_a_send_that_fails_with_records_behind_it_is_sent_again_from_the_cursor() {
    let (mock, world) = on_a_mock("a send that fails").await;
    world.pack(20, 20).await;
    let (fine, refused) = (
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    );
    let mut answers = Vec::new();
    for passed in [0, 1, 3, 6, 9] {
        answers.extend(vec![fine; passed]);
        answers.push(refused);
    }
    mock.request_errors(RDKafkaApiKey::Produce, &answers);
    let mut relay = Running::start(world.parts());
    relay.reaches("it says so", |status| matches!(status, RelayStatus::Failed(_))).await;
    world.relayed().await;
    relay.reaches("it runs again", |status| *status == RelayStatus::Running).await;
    relay.stop().await;
    assert!(world.assert_complete().await > 400, "what was behind a failure came again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r18_pages_that_expire_while_the_brokers_are_away_are_sent_again_from_the_cursor() {
    let (mock, world) = on_a_mock("pages that expire").await;
    let mut relay = Running::start(world.parts());
    for _ in 0..2 {
        world.pack(20, 5).await;
        relay.reaches("it runs", |status| *status == RelayStatus::Running).await;
        mock.broker_down(-1).unwrap();
        world.pack(20, 5).await;
        relay.reaches("it waits", |status| matches!(status, RelayStatus::Retrying(_))).await;
        mock.broker_up(-1).unwrap();
        world.relayed().await;
    }
    relay.stop().await;
    world.assert_complete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_told_to_stop_while_a_page_hangs_gives_up_in_time_and_loses_nothing() {
    let (mock, mut world) = on_a_mock("told to stop while a page hangs").await;
    world.kafka.message_timeout_ms = 600_000; // the page hangs far longer than the test runs
    let mut parts = world.parts();
    parts.settings.shutdown_ms = 200;
    let mut relay = Running::start(parts);
    relay.reaches("it runs", |status| *status == RelayStatus::Running).await;
    mock.broker_down(-1).unwrap();
    world.pack(20, 1).await;
    relay.stop().await;
    assert!(world.cursors().await.iter().all(|(_, position)| *position == 0));

    mock.broker_up(-1).unwrap();
    let relay = Running::start(world.parts());
    world.relayed().await;
    relay.stop().await;
    world.assert_complete().await;
}
