//! Producer and administration against the real broker.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on has to end

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use factline_core::{Fault, partition_for};
use factline_kafka::{Admin, KafkaSettings, Outgoing, Producer, Watermarks};
use factline_testkit::{eventually_ok, stack, unique_prefix};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{
        AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
};

/// Generous: the machine may be busy with other tests.
const SOON: Duration = Duration::from_secs(60);

fn settings(test: &str) -> KafkaSettings {
    KafkaSettings {
        brokers: stack().kafka,
        topic_prefix: unique_prefix(test),
        group_prefix: format!("{}.", unique_prefix(test)),
        create_topics: true,
        replication_factor: 1,
        min_insync_replicas: 1,
        ..KafkaSettings::default()
    }
}

fn keyed(topic: &Arc<str>, partition: Option<i32>, key: &str) -> Outgoing {
    Outgoing {
        topic: Arc::clone(topic),
        partition,
        key: Some(Bytes::from(key.to_owned())),
        value: Some(Bytes::from_static(b"v")),
        headers: vec![
            ("twice".into(), Some(Bytes::from_static(b"1"))),
            ("twice".into(), Some(Bytes::from_static(b"\xff"))),
            ("null".into(), None),
            ("empty".into(), Some(Bytes::new())),
        ],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_created_once_however_many_ask_and_never_with_another_shape() {
    let settings = settings("a topic is created once");
    let (topic, config) = (settings.topic("parcel"), settings.topic_config());
    let admin = Admin::new(&settings).unwrap();
    assert_eq!(admin.topic_info(&topic).await.unwrap(), None, "asking creates nothing");

    let strict = Admin::new(&KafkaSettings { create_topics: false, ..settings }).unwrap();
    let missing = strict.ensure_topic(&topic, 3, &config).await.unwrap_err();
    assert!(matches!(missing, Fault::Fatal { .. }), "{missing}");
    assert!(missing.to_string().contains("does not exist"), "{missing}");

    let (one, other) = tokio::join!(
        admin.ensure_topic(&topic, 3, &config),
        admin.ensure_topic(&topic, 3, &config),
    );
    assert_eq!(one.unwrap(), other.unwrap());
    let info = strict.ensure_topic(&topic, 3, &config).await.unwrap();
    assert_eq!((info.partitions, info.replication_factor), (3, 1));

    let other_shape = admin.ensure_topic(&topic, 4, &config).await.unwrap_err();
    assert!(matches!(other_shape, Fault::Fatal { .. }), "{other_shape}");
    assert!(other_shape.to_string().contains("3 partitions where 4"), "{other_shape}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c07_a_topic_that_may_lose_events_is_refused_with_everything_that_it_lacks() {
    let settings = settings("a topic that may lose events");
    let (topic, config) = (settings.topic("parcel"), settings.topic_config());
    let client: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &settings.brokers).create().unwrap();
    let compacted = NewTopic::new(&topic, 3, TopicReplication::Fixed(1))
        .set("cleanup.policy", "compact")
        .set("retention.ms", "60000");
    client.create_topics([&compacted], &AdminOptions::new()).await.unwrap();
    let admin = Admin::new(&settings).unwrap();
    let refused = admin.ensure_topic(&topic, 3, &config).await.unwrap_err();
    assert!(matches!(refused, Fault::Fatal { .. }), "{refused}");
    for part in [&*topic, "cleanup.policy is compact", "retention.ms is 60000"] {
        assert!(refused.to_string().contains(part), "{refused}");
    }

    let kept = HashMap::from([("cleanup.policy", "delete"), ("retention.ms", "-1")]);
    let mended = AlterConfig { specifier: ResourceSpecifier::Topic(&topic), entries: kept };
    client.alter_configs([&mended], &AdminOptions::new()).await.unwrap();
    eventually_ok(SOON, "the topic is as it must be", async || {
        admin.ensure_topic(&topic, 3, &config).await.map_err(|fault| fault.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r22_the_client_places_a_key_where_the_store_does() {
    let settings = settings("the client places a key");
    let topic: Arc<str> = settings.topic("parcel").into();
    let admin = Admin::new(&settings).unwrap();
    admin.ensure_topic(&topic, 5, &settings.topic_config()).await.unwrap();
    let keys: Vec<String> = (0..100).map(|n| format!("käse-{n}")).collect();
    let producer = Producer::new(&settings).unwrap();
    let records = keys.iter().map(|key| keyed(&topic, None, key)).collect();
    producer.send_all(records).await.unwrap();

    let mut found = 0;
    for partition in 0..5 {
        for record in admin.records(&topic, partition, 0, usize::MAX).await.unwrap() {
            let key = std::str::from_utf8(record.key.as_deref().unwrap()).unwrap();
            assert_eq!(partition_for(key, 5), partition, "{key}");
            found += 1;
        }
    }
    assert_eq!(found, keys.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_read_as_it_was_sent() {
    let settings = settings("a record is read as sent");
    let topic: Arc<str> = settings.topic("parcel").into();
    let admin = Admin::new(&settings).unwrap();
    admin.ensure_topic(&topic, 2, &settings.topic_config()).await.unwrap();
    let producer = Producer::new(&settings).unwrap();
    let sent = keyed(&topic, Some(1), "a key that hashes elsewhere or not");
    let tombstone = Outgoing { value: None, key: None, headers: Vec::new(), ..sent.clone() };
    producer.send_all(vec![sent.clone(), tombstone]).await.unwrap();
    producer.close(Duration::from_secs(10)).await.unwrap();

    let read = admin.records(&topic, 1, 0, 10).await.unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(
        (&read[0].key, &read[0].value, &read[0].headers),
        (&sent.key, &sent.value, &sent.headers)
    );
    assert_eq!((&read[1].key, &read[1].value, read[1].headers.len()), (&None, &None, 0));
    assert_eq!((read[0].offset, read[1].offset, read[0].partition), (0, 1, 1));
    assert!(read[0].timestamp_ms.is_some());

    let one = admin.records(&topic, 1, 1, 1).await.unwrap();
    assert_eq!(one, read[1..]);
    let gone = admin.records(&topic, 1, 7, 1).await.unwrap_err();
    assert!(matches!(gone, Fault::Fatal { .. }), "an offset that is not there: {gone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watermarks_and_a_groups_committed_offsets_can_be_asked_for() {
    let settings = settings("watermarks and offsets");
    let topic: Arc<str> = settings.topic("parcel").into();
    let admin = Admin::new(&settings).unwrap();
    let unknown = admin.watermarks(&topic).await.unwrap_err();
    assert!(matches!(unknown, Fault::Fatal { .. }), "{unknown}");
    admin.ensure_topic(&topic, 2, &settings.topic_config()).await.unwrap();
    let producer = Producer::new(&settings).unwrap();
    let records = (0..3).map(|_| keyed(&topic, Some(1), "k")).collect();
    producer.send_all(records).await.unwrap();
    assert_eq!(
        admin.watermarks(&topic).await.unwrap(),
        [
            Watermarks { partition: 0, low: 0, high: 0 },
            Watermarks { partition: 1, low: 0, high: 3 }
        ]
    );

    let group = settings.group("parcel-list");
    assert_eq!(admin.committed(&group, &topic).await.unwrap(), [(0, None), (1, None)]);
    commit(&settings, &group, &topic, 1, 2).await;
    assert_eq!(admin.committed(&group, &topic).await.unwrap(), [(0, None), (1, Some(2))]);
}

async fn commit(settings: &KafkaSettings, group: &str, topic: &str, partition: i32, next: i64) {
    let (config, topic) = (settings.consumer_config(group), topic.to_owned());
    let committed = tokio::task::spawn_blocking(move || {
        let member: BaseConsumer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, partition, Offset::Offset(next)).unwrap();
        member.commit(&list, CommitMode::Sync).unwrap();
    });
    committed.await.unwrap();
}
