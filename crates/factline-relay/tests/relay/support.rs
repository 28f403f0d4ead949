//! A log with parcels in it, a topic of its own, and relays between them.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use factline_codec::{Registry, RegistrySettings};
use factline_core::{DomainEvent, Position, StreamId, command_key, topic_name};
use factline_kafka::{Admin, KafkaSettings, Record};
use factline_log::{Command, Lanes, LogReader, LogSettings, RelayCursors, ensure_topic, migrate};
use factline_relay::{Relay, RelayParts, RelaySettings, RelayStatus};
use factline_testkit::{
    Addresses, TestDatabase, eventually_ok,
    parcels::{PackParcel, Parcel, ParcelEvent},
    stack, unique_prefix,
};
use sqlx::PgPool;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

pub const PARTITIONS: i32 = 4;
/// Far above what anything here takes on a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

/// Everything that one test has for itself.
pub struct World {
    pub stack: Addresses,
    pub database: TestDatabase,
    pub pool: PgPool,
    pub topic: Arc<str>,
    pub kafka: KafkaSettings,
    pub wake: Arc<Notify>,
    lanes: Lanes<Parcel>,
}

/// A relay that runs.
pub struct Running {
    pub status: watch::Receiver<RelayStatus>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl World {
    pub async fn new(test: &str) -> Self {
        let (stack, database) = (stack(), TestDatabase::create(test).await);
        let topic_prefix = unique_prefix(test);
        let topic: Arc<str> = topic_name(&topic_prefix, ParcelEvent::KIND).into();
        let mut owner = migrate(&database.url()).await.unwrap();
        ensure_topic(&mut owner, &topic, PARTITIONS).await.unwrap();
        let log = LogSettings {
            url: database.url(),
            owner_url: database.url(),
            partitions: PARTITIONS,
            lanes: 2,
            lane_queue: 1_000,
            batch_commands: 64,
            cached_streams: 1_000,
            cached_bytes: 16 << 20,
            recent_commands: 32,
            snapshot_every: 1_000,
            snapshot_after_load_ms: 10_000,
            lock_timeout_ms: 10_000,
            allow_unsafe_database: true, // as the owner, who also empties and spoils tables here
            read_connections: 2,
        };
        let (lanes, parts) = Lanes::start(&log, &topic).unwrap();
        let kafka = KafkaSettings {
            brokers: stack.kafka.clone(),
            topic_prefix,
            create_topics: true,
            replication_factor: 1,
            min_insync_replicas: 1,
            ..KafkaSettings::default()
        };
        let pool = database.pool().await;
        Self { stack, database, pool, topic, kafka, wake: parts.appended, lanes }
    }

    /// Packs `parcels` parcels `times` times each: an event a time.
    pub async fn pack(&self, parcels: usize, times: usize) {
        for time in 0..times {
            let commands = (0..parcels).map(|number| {
                let stream_id = StreamId::parse(&format!("parcel-{number}")).unwrap();
                let key = command_key(&stream_id, &uuid::Uuid::new_v4().to_string());
                let command = PackParcel { weight_grams: i64::try_from(time).unwrap() + 1 };
                self.lanes.execute(Command::new(stream_id, key, [0; 16], Utc::now(), command))
            });
            for done in futures::future::join_all(commands).await {
                done.unwrap();
            }
        }
    }

    pub fn parts(&self) -> RelayParts {
        self.parts_through(&self.database.url(), &self.stack.registry_url)
    }

    pub fn parts_through(&self, database_url: &str, registry_url: &str) -> RelayParts {
        let reader = LogReader::new(database_url, 3).unwrap();
        let registry = RegistrySettings {
            url: registry_url.to_owned(),
            timeout_ms: 2_000,
            auto_register: true,
        };
        RelayParts {
            topic: Arc::clone(&self.topic),
            cursors: RelayCursors::new(&reader),
            reader,
            registry: Arc::new(Registry::new(&registry).unwrap()),
            registry_url: self.stack.registry_url.clone(),
            kafka: self.kafka.clone(),
            settings: RelaySettings {
                page_events: 40, // small pages, so that a test has many
                lease_check_ms: 50,
                backoff_max_ms: 400,
                ..RelaySettings::default()
            },
            wake: Arc::clone(&self.wake),
        }
    }

    pub async fn heads(&self) -> Vec<(i32, i64)> {
        self.positions("heads").await
    }

    pub async fn cursors(&self) -> Vec<(i32, i64)> {
        self.positions("relay_cursors").await
    }

    async fn positions(&self, table: &str) -> Vec<(i32, i64)> {
        let select = format!("select partition, position from log.{table} order by partition");
        sqlx::query_as(sqlx::AssertSqlSafe(select)).fetch_all(&self.pool).await.unwrap()
    }

    /// Waits until the stored cursors have reached the heads.
    pub async fn relayed(&self) {
        eventually_ok(SOON, "the cursors reach the heads", async || {
            let (heads, cursors) = (self.heads().await, self.cursors().await);
            if heads == cursors { Ok(()) } else { Err(format!("{cursors:?} of {heads:?}")) }
        })
        .await;
    }

    /// Everything on the topic, by partition.
    pub async fn records(&self) -> Vec<Vec<Record>> {
        let admin = Admin::new(&self.kafka).unwrap();
        let mut partitions = Vec::new();
        for partition in 0..PARTITIONS {
            let records = admin.records(&self.topic, partition, 0, usize::MAX).await;
            partitions.push(records.unwrap());
        }
        partitions
    }

    /// Everything in the log, by partition.
    pub async fn stored(&self) -> Vec<Vec<factline_codec::StoredEvent>> {
        let reader = LogReader::new(&self.database.url(), 1).unwrap();
        let mut partitions = Vec::new();
        for partition in 0..PARTITIONS {
            let events = reader.read(&self.topic, partition, Position::ZERO, i64::MAX).await;
            partitions.push(events.unwrap());
        }
        partitions
    }

    /// The topic holds every position of the log in order, whatever repeats lie between; returns
    /// how many records it holds in all.
    pub async fn assert_complete(&self) -> usize {
        let records = self.records().await;
        for ((partition, head), records) in self.heads().await.into_iter().zip(&records) {
            let sequence: Vec<i64> = records.iter().map(position).collect();
            assert_eq!(applied(&sequence), head, "partition {partition}: {sequence:?}");
        }
        records.iter().map(Vec::len).sum()
    }
}

impl Running {
    pub fn start(parts: RelayParts) -> Self {
        let (relay, status) = Relay::new(parts).unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(relay.run(shutdown.clone()));
        Self { status, shutdown, task }
    }

    pub async fn reaches(&mut self, what: &str, wanted: impl FnMut(&RelayStatus) -> bool) {
        let waited = tokio::time::timeout(SOON, self.status.wait_for(wanted)).await;
        let reached = matches!(waited, Ok(Ok(_)));
        drop(waited); // it still borrows the status
        assert!(reached, "{what}; last seen: {:?}", *self.status.borrow());
    }

    /// An orderly stop.
    pub async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(SOON, self.task).await.expect("the relay stops").unwrap();
        assert_eq!(*self.status.borrow(), RelayStatus::Stopped);
    }

    /// The process is gone.
    pub async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

pub fn position(record: &Record) -> i64 {
    factline_kafka::read_envelope(record).unwrap().position.0
}

/// How far a reader comes that applies only the successor of the last position.
pub fn applied(sequence: &[i64]) -> i64 {
    sequence.iter().fold(0, |last, position| if *position == last + 1 { *position } else { last })
}
