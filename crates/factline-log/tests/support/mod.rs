//! A log of parcels in a database of the test's own.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses its part

use chrono::{DateTime, Utc};
use factline_core::{Decide, StreamId, command_key, topic_name};
use factline_log::{Command, LaneParts, Lanes, LogReader, LogSettings, ensure_topic, migrate};
use factline_testkit::{FaultProxy, TestDatabase, parcels::Parcel};
use sqlx::PgPool;

pub const PARTITIONS: i32 = 4;

pub struct TestLog {
    pub database: TestDatabase,
    pub topic: String,
}

impl TestLog {
    pub async fn create(test_name: &str) -> Self {
        let database = TestDatabase::create(test_name).await;
        let topic = topic_name("test", "parcel");
        let mut owner = migrate(&database.url()).await.unwrap();
        ensure_topic(&mut owner, &topic, PARTITIONS).await.unwrap();
        Self { database, topic }
    }

    /// As the run-time role, which may not change history.
    pub fn settings(&self) -> LogSettings {
        self.settings_for(self.database.url())
    }

    /// The same through a proxy that can cut the connections.
    pub fn settings_through(&self, proxy: &FaultProxy) -> LogSettings {
        self.settings_for(self.database.url_through(proxy))
    }

    fn settings_for(&self, owner_url: String) -> LogSettings {
        LogSettings {
            url: owner_url.replace("//postgres@", "//factline_log_writer@"),
            owner_url,
            partitions: PARTITIONS,
            lanes: 2,
            lane_queue: 4096,
            batch_commands: 64,
            cached_streams: 100,
            snapshot_every: 10,
            snapshot_after_load_ms: 10_000,
            read_connections: 2,
        }
    }

    /// The lanes of one more process.
    pub fn process(&self) -> (Lanes<Parcel>, LaneParts) {
        Lanes::start(&self.settings(), &self.topic).unwrap()
    }

    pub fn reader(&self) -> LogReader {
        LogReader::new(&self.settings().url, 2).unwrap()
    }

    pub async fn pool(&self) -> PgPool {
        self.database.pool().await
    }

    /// Fails unless positions are 1, 2, 3 … in every partition, equal to the heads, and versions
    /// are 1, 2, 3 … in every stream. Returns how many events there are.
    pub async fn assert_dense(&self) -> i64 {
        let pool = self.pool().await;
        let (holes,): (i64,) = sqlx::query_as(
            "select count(*) from (
                 select position, row_number() over (partition by partition order by position) as place
                 from log.events) e
             where position <> place",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        assert_eq!(holes, 0, "positions are not dense");
        let (gaps,): (i64,) = sqlx::query_as(
            "select count(*) from (
                 select version, row_number() over (partition by stream_id order by version) as place
                 from log.events) e
             where version <> place",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        assert_eq!(gaps, 0, "versions are not dense");
        let (events, heads): (i64, i64) = sqlx::query_as(
            "select (select count(*) from log.events), (select sum(position)::bigint from log.heads)",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        assert_eq!(events, heads, "the heads are not the last positions");
        events
    }
}

pub fn stream(id: &str) -> StreamId {
    StreamId::parse(id).unwrap()
}

pub fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_291_204_800, 0).unwrap()
}

/// A command as a client with that key would send it.
pub fn command<C>(id: &str, client_key: &str, body: C) -> Command<Parcel>
where
    Parcel: Decide<C>,
    C: Send + Sync + std::fmt::Debug + 'static,
{
    let stream_id = stream(id);
    let key = command_key(&stream_id, client_key);
    let fingerprint = factline_log::fingerprint("test", format!("{body:?}").as_bytes());
    Command::new(stream_id, key, fingerprint, noon(), body)
}
