//! The relay on the real stack, while something is away: it waits, says so, and goes on.

use crate::support::{Running, World, applied, position};
use factline_codec::{WriterSchema, subject};
use factline_kafka::KafkaSettings;
use factline_relay::{RelayParts, RelayStatus};
use factline_testkit::FaultProxy;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_registry_is_away_commands_go_on_and_their_events_wait() {
    let world = World::new("while the registry is away").await;
    let proxy = FaultProxy::to_url(&world.stack.registry_url).await;
    proxy.cut();
    let registry = proxy.url(&world.stack.registry_url);
    let mut relay = Running::start(world.parts_through(&world.database.url(), &registry));
    world.pack(5, 3).await;
    let waiting = |status: &RelayStatus| matches!(status, RelayStatus::WaitingForRegistry(_));
    relay.reaches("the relay waits for the registry", waiting).await;
    assert!(world.cursors().await.iter().all(|(_, position)| *position == 0));
    proxy.heal();
    world.relayed().await;
    relay.reaches("the relay runs again", RelayStatus::is_healthy).await;
    proxy.cut(); // a known schema needs no registry
    world.pack(5, 3).await;
    world.relayed().await;
    relay.stop().await;
    assert_eq!(world.assert_complete().await, 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_goes_away_in_the_middle_costs_repeats_and_nothing_else() {
    let world = World::new("a store that goes away").await;
    let proxy = FaultProxy::to_postgres(&world.stack).await;
    let url = world.database.url_through(&proxy);
    world.pack(20, 10).await;
    let mut relay = Running::start(world.parts_through(&url, &world.stack.registry_url));
    for _ in 0..3 {
        relay.reaches("the relay runs", RelayStatus::is_healthy).await;
        proxy.cut();
        let retrying = |status: &RelayStatus| matches!(status, RelayStatus::Retrying(_));
        relay.reaches("the relay waits for the store", retrying).await;
        proxy.heal();
        world.pack(20, 2).await;
    }
    world.relayed().await;
    relay.stop().await;
    world.assert_complete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_kafka_is_away_the_relay_waits_and_stops_when_told() {
    let world = World::new("while kafka is away").await;
    let nowhere = KafkaSettings {
        brokers: "127.0.0.1:1".into(), // nothing listens there
        admin_timeout_ms: 500,
        ..world.kafka.clone()
    };
    let mut relay = Running::start(RelayParts { kafka: nowhere, ..world.parts() });
    world.pack(5, 1).await;
    let retrying = |status: &RelayStatus| matches!(status, RelayStatus::Retrying(_));
    relay.reaches("the relay waits for Kafka", retrying).await;
    relay.stop().await;

    let relay = Running::start(world.parts()); // Kafka is back
    world.relayed().await;
    relay.stop().await;
    assert_eq!(world.assert_complete().await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hole_in_the_log_stops_the_relay_before_it() {
    let world = World::new("a hole in the log").await;
    world.pack(1, 10).await;
    sqlx::query("delete from log.events where position = 6").execute(&world.pool).await.unwrap();
    let mut parts = world.parts();
    parts.settings.page_events = 4; // one event a partition and page, so that some are sent first
    let mut relay = Running::start(parts);
    let failed = |status: &RelayStatus| matches!(status, RelayStatus::Failed(why) if why.contains("from position 5 to 7"));
    relay.reaches("the relay pages somebody", failed).await;
    relay.stop().await;
    let sent: Vec<i64> = world.records().await.iter().flatten().map(position).collect();
    assert_eq!(applied(&sent), 5, "{sent:?}");
    assert!(sent.iter().all(|sent| *sent <= 5), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_of_another_shape_stops_the_relay() {
    let world = World::new("a topic of another shape").await;
    let admin = factline_kafka::Admin::new(&world.kafka).unwrap();
    admin.ensure_topic(&world.topic, 2, &world.kafka.topic_config()).await.unwrap();
    world.pack(5, 1).await;
    let mut relay = Running::start(world.parts());
    let failed = |status: &RelayStatus| matches!(status, RelayStatus::Failed(why) if why.contains("2 partitions where 4"));
    relay.reaches("the relay pages somebody", failed).await;
    relay.stop().await;
}

/// Also the proof that a subject takes only fully compatible schemas: the registry's own default takes any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c13_a_subject_that_holds_an_incompatible_schema_stops_the_relay_before_anything_is_sent() {
    let world = World::new("a subject of another shape").await;
    let parts = world.parts();
    let other = r#"{"type": "record", "name": "ParcelPacked", "namespace": "factline.parcel",
                    "fields": [{"name": "colour", "type": "string"}]}"#;
    let other = WriterSchema::admit(other).unwrap();
    let subject = subject(&world.topic, other.full_name());
    parts.registry.register(&subject, &other).await.unwrap();
    world.pack(2, 3).await;

    let mut relay = Running::start(parts);
    let failed = |status: &RelayStatus| matches!(status, RelayStatus::Failed(why) if why.contains("registering a schema"));
    relay.reaches("the relay pages somebody", failed).await;
    relay.stop().await;
    assert!(world.records().await.iter().all(Vec::is_empty));
    assert!(world.cursors().await.iter().all(|(_, position)| *position == 0));
}
