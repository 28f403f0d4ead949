//! A projector on the real stack: its own database, topic and group; a log in memory that plays the
//! store, so that a test decides what Kafka was given and what it was not.

#![allow(dead_code, unused_imports)] // each test file uses a part of it

mod gated;
mod letters;
mod raw;
mod segment;
mod switched;
mod views;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{TimeZone, Utc};
use factline_codec::{
    Codec, Registry, RegistrySettings, StoredEvent, WriterSchema, frame, subject,
};
use factline_core::{Envelope, Fault, Position, StreamId, Token, Version, partition_for};
use factline_kafka::{Admin, KafkaSettings, Outgoing, Producer, envelope_headers};
use factline_projection::{
    FoldedView, History, MIGRATOR, Projection, ProjectionSettings, Projector, ProjectorError,
    ProjectorParts, ReadGate, Status,
};
use factline_testkit::{
    Addresses, TestDatabase, eventually_ok, parcels::ParcelEvent, stack, unique_prefix,
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};
use uuid::Uuid;

pub use gated::Gated;
pub use letters::{Letter, close, read_topic, rewind, spec};
pub use raw::{Raw, take_any_timestamp};
pub use segment::Segment;
pub use switched::{BLOCKS, PASSES, REFUSES, Switched, create_order_table};
pub use views::{EventsByType, ParcelRow, Parcels};

pub const PARTITIONS: i32 = 4;
/// Generous: the machine may be busy with other tests.
pub const SOON: Duration = Duration::from_secs(60);

pub struct World {
    pub database: TestDatabase,
    pub pool: PgPool,
    pub kafka: KafkaSettings,
    pub registry: RegistrySettings,
    pub topic: Arc<str>,
    pub log: Log,
    producer: Producer,
    codec: Codec<ParcelEvent>,
    ids: Vec<u32>,
    stack: Addresses,
}

/// The store: every event that was ever recorded, sent to Kafka or not.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<StoredEvent>>>);

impl Log {
    /// As if it had never been recorded.
    pub fn forget(&self, event: &StoredEvent) {
        let id = event.envelope.event_id;
        self.0.lock().unwrap().retain(|one| one.envelope.event_id != id);
    }

    fn tokens(&self) -> Vec<Token> {
        self.0.lock().unwrap().iter().map(|one| one.envelope.token()).collect()
    }
}

#[async_trait]
impl History for Log {
    async fn read(
        &self,
        topic: &str,
        partition: i32,
        after: Position,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, Fault> {
        let events = self.0.lock().unwrap();
        let mut found: Vec<_> = events
            .iter()
            .filter(|one| {
                let envelope = &one.envelope;
                *envelope.topic == *topic
                    && envelope.partition == partition
                    && envelope.position > after
            })
            .cloned()
            .collect();
        found.sort_by_key(|one| one.envelope.position);
        found.truncate(usize::try_from(limit).unwrap());
        Ok(found)
    }
}

impl World {
    pub async fn create(test: &str) -> Self {
        let stack = stack();
        let database = TestDatabase::create(test).await;
        let pool = database.pool().await;
        MIGRATOR.run(&pool).await.unwrap();
        views::create_tables(&pool).await;
        let prefix = unique_prefix(test);
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
        let url = stack.registry_url.clone();
        let registry = RegistrySettings { url, timeout_ms: 10_000, auto_register: true };
        let codec = Codec::<ParcelEvent>::new().unwrap();
        let ids = register(&registry, &topic, codec.schemas()).await;
        let producer = Producer::new(&kafka).unwrap();
        let log = Log::default();
        Self { database, pool, kafka, registry, topic, log, producer, codec, ids, stack }
    }

    /// Records an event: it has its position in the log from now on.
    pub fn record(&self, stream: &str, event: ParcelEvent) -> StoredEvent {
        self.record_in(partition_for(stream, PARTITIONS), stream, event)
    }

    /// Records an event in a partition that need not be its stream's.
    pub fn record_in(&self, partition: i32, stream: &str, event: ParcelEvent) -> StoredEvent {
        let encoded = self.codec.encode(&event).unwrap();
        let schema = Arc::clone(&self.codec.schemas()[encoded.schema_index]);
        let mut events = self.log.0.lock().unwrap();
        let of_partition = events.iter().filter(|one| one.envelope.partition == partition).count();
        let of_stream =
            events.iter().filter(|one| one.envelope.stream_id.as_str() == stream).count();
        let position = i64::try_from(of_partition).unwrap() + 1;
        let at = Utc.timestamp_opt(1_700_000_000 + position, 0).unwrap();
        let envelope = Envelope {
            topic: Arc::clone(&self.topic),
            partition,
            position: Position(position),
            stream_id: StreamId::parse(stream).unwrap(),
            version: Version(i64::try_from(of_stream).unwrap() + 1),
            event_id: Uuid::now_v7(),
            event_type: Arc::clone(schema.full_name()),
            correlation_id: Uuid::now_v7(),
            causation_id: Uuid::now_v7(),
            actor: Some("tester".into()),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            occurred_at: at,
            recorded_at: at,
        };
        let stored = StoredEvent { envelope, schema, datum: encoded.datum.into() };
        events.push(stored.clone());
        stored
    }

    /// Records events and sends them.
    pub async fn write(&self, events: &[(&str, ParcelEvent)]) -> Vec<StoredEvent> {
        let stored: Vec<_> =
            events.iter().map(|(stream, event)| self.record(stream, event.clone())).collect();
        self.send(&stored).await;
        stored
    }

    /// Sends events as the relay would.
    pub async fn send(&self, events: &[StoredEvent]) {
        self.send_raw(events.iter().map(|one| self.outgoing(one)).collect()).await;
    }

    pub async fn send_raw(&self, records: Vec<Outgoing>) {
        self.producer.send_all(records).await.unwrap();
    }

    pub fn outgoing(&self, event: &StoredEvent) -> Outgoing {
        let name = event.schema.full_name();
        let index = self.codec.schemas().iter().position(|one| one.full_name() == name).unwrap();
        self.outgoing_as(event, self.ids[index])
    }

    pub fn outgoing_as(&self, event: &StoredEvent, schema_id: u32) -> Outgoing {
        let envelope = &event.envelope;
        Outgoing {
            topic: Arc::clone(&self.topic),
            partition: Some(envelope.partition),
            key: Some(envelope.stream_id.to_string().into()),
            value: Some(frame(schema_id, &event.datum).into()),
            headers: envelope_headers(envelope, schema_id, &self.registry.url),
        }
    }

    /// Streams whose events all land in one partition.
    pub fn neighbours(&self, partition: i32, count: usize) -> Vec<String> {
        (0..)
            .map(|n| format!("parcel-{n}"))
            .filter(|name| partition_for(name, PARTITIONS) == partition)
            .take(count)
            .collect()
    }

    pub fn settings() -> ProjectionSettings {
        ProjectionSettings {
            gap_wait_ms: 200,
            config_retry_ms: 100,
            retry_first_ms: 20,
            retry_most_ms: 200,
            export_every_ms: 100,
            ..ProjectionSettings::default()
        }
    }

    pub fn start(&self) -> Running {
        self.start_with(FoldedView::<Parcels>::new(), Self::settings())
    }

    pub fn start_with<P: Projection>(
        &self,
        projection: P,
        settings: ProjectionSettings,
    ) -> Running {
        self.run(self.parts(projection, settings))
    }

    pub fn parts<P: Projection>(
        &self,
        projection: P,
        settings: ProjectionSettings,
    ) -> ProjectorParts<P> {
        ProjectorParts {
            projection,
            kafka: self.kafka.clone(),
            database: pool(&self.database.url()),
            registry: Arc::new(Registry::new(&self.registry).unwrap()),
            history: Some(Arc::new(self.log.clone())),
            settings,
        }
    }

    pub fn run<P: Projection>(&self, parts: ProjectorParts<P>) -> Running {
        let projector = Projector::new(parts).unwrap();
        let (status, gate) = (projector.status(), projector.gate());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(projector.run(async move {
            let _told = stopped.await;
        }));
        Running { status, gate, stop: Some(stop), task }
    }

    /// Waits until the projection has passed every event of the log.
    pub async fn caught_up(&self, running: &Running) {
        let tokens = self.log.tokens();
        if let Err(error) = running.gate.wait_for(&tokens, SOON).await {
            panic!("{error}; {:?}; {:?}", *running.status.borrow(), self.parked().await);
        }
    }

    pub async fn row(&self, parcel: &str) -> Option<ParcelRow> {
        sqlx::query_as("select * from parcels where parcel = $1")
            .bind(parcel)
            .fetch_optional(&self.pool)
            .await
            .unwrap()
    }

    pub async fn weight(&self, parcel: &str) -> Option<i64> {
        self.row(parcel).await.map(|row| row.weight_grams)
    }

    pub async fn count(&self, what: &'static str) -> i64 {
        sqlx::query_scalar(what).fetch_one(&self.pool).await.unwrap()
    }

    pub async fn processed(&self) -> i64 {
        self.count("select count(*) from projection.processed_events").await
    }

    /// (stream, code) of each parked event, by position.
    pub async fn parked(&self) -> Vec<(String, String)> {
        sqlx::query_as(
            "select stream_id, code from projection.parked_events order by partition, position",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    pub fn postgres_address(&self) -> String {
        format!("{}:{}", self.stack.postgres_host, self.stack.postgres_port)
    }
}

/// A projector at work.
pub struct Running {
    pub status: watch::Receiver<Status>,
    pub gate: ReadGate,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ProjectorError>>,
}

impl Running {
    /// Stops in order.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.unwrap().unwrap();
    }

    /// Ends like a crash: nothing is finished, nothing is committed.
    pub async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    /// Waits for a status.
    pub async fn becomes(&self, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
        let status = self.status.clone();
        eventually_ok(SOON, what, async || {
            let now = status.borrow().clone();
            if holds(&now) { Ok(now) } else { Err(format!("{now:?}")) }
        })
        .await
    }
}

pub fn pool(url: &str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(2))
        .connect_lazy(url)
        .unwrap()
}

async fn register(
    settings: &RegistrySettings,
    topic: &str,
    schemas: &[Arc<WriterSchema>],
) -> Vec<u32> {
    let registry = Registry::new(settings).unwrap();
    let mut ids = Vec::new();
    for schema in schemas {
        let subject = subject(topic, schema.full_name());
        ids.push(registry.register(&subject, schema).await.unwrap());
    }
    ids
}
