//! A log of parcels in a database of the test's own.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses its part

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use factline_codec::Codec;
use factline_core::{
    Decide, Envelope, Moment, Position, Recorded, StreamId, command_key, topic_name,
};
use factline_log::{Command, LaneParts, Lanes, LogReader, LogSettings, ensure_topic, migrate};
use factline_testkit::{
    FaultProxy, TestDatabase, eventually_ok,
    parcels::{PackParcel, Parcel, ParcelEvent, ParcelRefusal, SendParcel, packed},
};
use sqlx::{PgPool, Postgres, Transaction};

pub const PARTITIONS: i32 = 4;
/// Long against anything that a test waits for on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

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
            cached_bytes: 16 << 20,
            recent_commands: 32,
            snapshot_every: 10,
            snapshot_after_load_ms: 10_000,
            lock_timeout_ms: 30_000,
            allow_unsafe_database: false,
            read_connections: 2,
        }
    }

    /// The lanes of one more process.
    pub fn process(&self) -> (Lanes<Parcel>, LaneParts) {
        self.process_with(&self.settings())
    }

    pub fn process_with(&self, settings: &LogSettings) -> (Lanes<Parcel>, LaneParts) {
        Lanes::start(settings, &self.topic).unwrap()
    }

    pub fn reader(&self) -> LogReader {
        LogReader::new(&self.settings().url, 2).unwrap()
    }

    pub async fn pool(&self) -> PgPool {
        self.database.pool().await
    }

    /// Every stored event, by partition and position.
    pub async fn events(&self) -> Vec<Recorded<ParcelEvent>> {
        let (reader, codec) = (self.reader(), Codec::<ParcelEvent>::new().unwrap());
        let starts: Vec<_> = (0..PARTITIONS).map(|partition| (partition, Position::ZERO)).collect();
        let stored = reader.read_after(&self.topic, &starts, i64::MAX).await.unwrap();
        let recorded = stored.into_iter().map(|stored| {
            let event = codec.decode(&stored.schema, &stored.datum).unwrap();
            Recorded { envelope: stored.envelope, event }
        });
        recorded.collect()
    }

    /// A transaction that holds the heads of all partitions: appends wait until it ends.
    pub async fn hold_heads(&self) -> Transaction<'static, Postgres> {
        let mut holding = self.pool().await.begin().await.unwrap();
        sqlx::query("select log.lock_heads($1, array[0, 1, 2, 3])")
            .bind(&self.topic)
            .execute(&mut *holding)
            .await
            .unwrap();
        holding
    }

    /// Waits until a lane waits for a lock, and gives its server process.
    pub async fn lane_that_waits(&self, pool: &PgPool) -> i32 {
        const WAITING: &str = "select pid from pg_stat_activity where datname = current_database()
             and application_name = 'factline-lane' and wait_event_type = 'Lock'";
        eventually_ok(DEADLINE, "a lane waits for a lock", async || {
            let found: Option<(i32,)> = sqlx::query_as(WAITING).fetch_optional(pool).await.unwrap();
            found.map(|(pid,)| pid).ok_or("none waits")
        })
        .await
    }

    /// How many entries of the events' indexes were read by anybody who has left: ends the lanes,
    /// since a session tells what it read at the latest when it ends.
    pub async fn entries_read(&self, lanes: Lanes<Parcel>, parts: LaneParts) -> i64 {
        drop(lanes);
        for task in parts.tasks {
            task.await.unwrap();
        }
        let pool = self.pool().await;
        eventually_ok(DEADLINE, "the lanes' sessions end", async || {
            let (left,): (i64,) = sqlx::query_as(
                "select count(*) from pg_stat_activity where datname = current_database()
                 and application_name = 'factline-lane'",
            )
            .fetch_one(&pool)
            .await
            .unwrap();
            if left == 0 { Ok(()) } else { Err(left) }
        })
        .await;
        let (read,): (i64,) = sqlx::query_as(
            "select coalesce(sum(idx_tup_read), 0)::bigint from pg_stat_user_indexes
             where relname = 'events'",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        read
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

pub fn pack(weight_grams: i64) -> PackParcel {
    PackParcel { weight_grams }
}

pub fn send(to: &str) -> SendParcel {
    SendParcel { to: to.into() }
}

/// Packs several things at once: a command of several events.
#[derive(Debug, Clone)]
pub struct PackAll(pub Vec<i64>);

impl Decide<PackAll> for Parcel {
    fn decide(&self, command: &PackAll, _at: Moment) -> Result<Vec<ParcelEvent>, ParcelRefusal> {
        Ok(command.0.iter().map(|weight_grams| packed(*weight_grams)).collect())
    }
}

/// A command whose decision has a defect.
#[derive(Debug, Clone, Copy)]
pub struct TearBelt;

impl Decide<TearBelt> for Parcel {
    fn decide(&self, _command: &TearBelt, _at: Moment) -> Result<Vec<ParcelEvent>, ParcelRefusal> {
        panic!("the belt is torn, as this test wants it")
    }
}

/// Fails unless positions are 1, 2, 3 … in every partition, versions 1, 2, 3 … in every stream,
/// and nothing was recorded earlier than what stands before it.
pub fn assert_dense_events(events: &[Recorded<ParcelEvent>]) {
    let mut heads: HashMap<i32, &Envelope> = HashMap::new();
    let mut versions = HashMap::new();
    for Recorded { envelope, .. } in events {
        let before = heads.insert(envelope.partition, envelope);
        assert_eq!(envelope.position.0, before.map_or(0, |before| before.position.0) + 1);
        assert!(before.is_none_or(|before| before.recorded_at <= envelope.recorded_at));
        let version = versions.insert(&envelope.stream_id, envelope.version);
        assert_eq!(envelope.version, version.unwrap_or_default().next());
    }
}

/// Fails unless what was seen before stands where it stood.
pub fn assert_only_added(before: &[Recorded<ParcelEvent>], now: &[Recorded<ParcelEvent>]) {
    let place = |event: &Recorded<ParcelEvent>| (event.envelope.partition, event.envelope.position);
    let now: HashMap<_, _> = now.iter().map(|event| (place(event), event)).collect();
    for event in before {
        assert_eq!(now.get(&place(event)), Some(&event), "it was there before");
    }
}
