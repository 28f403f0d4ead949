//! The whole way from Kafka: records that come twice, and out of order.

use std::sync::Arc;

use factline_codec::{Codec, Registry, RegistrySettings, frame, subject};
use factline_core::{Recorded, partition_for};
use factline_kafka::{Admin, KafkaSettings, Outgoing, Producer, envelope_headers};
use factline_projection::{ProjectionSettings, Projector, ProjectorParts};
use factline_testkit::{
    History, eventually,
    parcels::{ParcelEvent, packed, sent},
    stack, unique_prefix,
};
use tokio::sync::oneshot;

use crate::support::*;

const PARTITIONS: i32 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn records_that_come_twice_or_out_of_order_do_each_step_once() {
    let world = World::create("records").await;
    let stack = stack();
    let prefix = unique_prefix("saga_records");
    let kafka = KafkaSettings {
        brokers: stack.kafka.clone(),
        topic_prefix: prefix.clone(),
        group_prefix: format!("{prefix}."),
        create_topics: true,
        replication_factor: 1,
        min_insync_replicas: 1,
        session_timeout_ms: 6_000,
        ..KafkaSettings::default()
    };
    let topic: Arc<str> = kafka.topic("parcel").into();
    let admin = Admin::new(&kafka).unwrap();
    admin.ensure_topic(&topic, PARTITIONS, &kafka.topic_config()).await.unwrap();
    let registry = RegistrySettings {
        url: stack.registry_url.clone(),
        timeout_ms: 10_000,
        auto_register: true,
    };
    let runtime = world.runtime(Delivery::<1, 1>);
    let projector = Projector::new(ProjectorParts {
        projection: runtime.projection(),
        kafka: kafka.clone(),
        database: world.pool.clone(),
        registry: Arc::new(Registry::new(&registry).unwrap()),
        history: None,
        settings: ProjectionSettings { gap_wait_ms: 60_000, ..ProjectionSettings::default() },
    })
    .unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let (stop_too, stopped_too) = oneshot::channel::<()>();
    let reacting = tokio::spawn(runtime.run(projector.commits(), async move {
        let _told = stopped.await;
    }));
    let projecting = tokio::spawn(projector.run(async move {
        let _told = stopped_too.await;
    }));

    let names: Vec<String> = (10..30).map(|n| format!("p-{n}")).collect();
    let mut history = History::new().on_topic(&topic).with_partitions(PARTITIONS);
    for name in &names {
        history = history.then(name, packed(1));
    }
    for name in &names {
        history = history.then(name, sent("Oslo"));
    }
    let records = outgoing(&registry, &topic, &history.build()).await;
    let producer = Producer::new(&kafka).unwrap();
    // A relay whose send failed goes back: the end first, then all of it, then half of it again.
    let half = records.len() / 2;
    for some in [&records[half..], &records[..], &records[..half]] {
        producer.send_all(some.to_vec()).await.unwrap();
    }
    for name in &names {
        world.becomes(name, "completed").await;
    }
    let expected: Vec<String> = names.iter().flat_map(|name| whole_way(name)).collect();
    eventually(SOON, "all is done", async || world.post.effects() == expected).await;
    drop((stop, stop_too));
    reacting.await.unwrap();
    projecting.await.unwrap().unwrap();
}

async fn outgoing(
    registry: &RegistrySettings,
    topic: &Arc<str>,
    history: &[Recorded<ParcelEvent>],
) -> Vec<Outgoing> {
    let codec = Codec::<ParcelEvent>::new().unwrap();
    let client = Registry::new(registry).unwrap();
    let mut ids = Vec::new();
    for schema in codec.schemas() {
        let subject = subject(topic, schema.full_name());
        ids.push(client.register(&subject, schema).await.unwrap());
    }
    let outgoing = |recorded: &Recorded<ParcelEvent>| {
        let encoded = codec.encode(&recorded.event).unwrap();
        let id = ids[encoded.schema_index];
        let stream = recorded.envelope.stream_id.to_string();
        Outgoing {
            topic: Arc::clone(topic),
            partition: Some(partition_for(&stream, PARTITIONS)),
            key: Some(stream.into()),
            value: Some(frame(id, &encoded.datum).into()),
            headers: envelope_headers(&recorded.envelope, id, &registry.url),
        }
    };
    history.iter().map(outgoing).collect()
}
