//! A view of parcels whose weight is asked for, and a cache before it.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use factline_core::{Fold, Folded, Recorded};
use factline_projection::{ReadGate, View};
use factline_testkit::{TestDatabase, eventually, parcels::ParcelEvent, stack, unique_prefix};
use read_kit::{Cache, CacheSettings, Database, DatabaseSettings, Question, Reading, migrate};
use redis::{AsyncCommands, AsyncConnectionConfig, aio::MultiplexedConnection};
use service_kit::{KitSettings, Runtime, extract::ConsistencyTokens, settings::load_from};
use sqlx::{AssertSqlSafe, PgPool};

/// Nothing here takes longer, so a test that waits so long has failed.
pub const DEADLINE: Duration = Duration::from_secs(30);
const TOPIC: &str = "factline.parcel.v1";
const TABLE: &str = "create table parcels (id int primary key, weight bigint not null)";

/// The view's names; its rows are written by the tests.
struct Parcels;

impl View for Parcels {
    const TABLE: &'static str = "parcels";
    const KEY: &'static [&'static str] = &["id"];
}

impl Fold for Parcels {
    const NAME: &'static str = "parcels";
    type Event = ParcelEvent;
    type Key = i32;
    type Row = i64;

    fn key(_: &Recorded<ParcelEvent>) -> Option<i32> {
        None
    }

    fn fold(_: Option<i64>, _: &Recorded<ParcelEvent>) -> Folded<i64> {
        Folded::Unchanged
    }
}

pub struct Depot {
    reading: Reading,
    cache: Cache,
    runtime: Runtime,
    /// Put before every key in Redis.
    prefix: String,
    computed: AtomicU32,
    pool: PgPool,
    _database: TestDatabase,
}

/// As the service's defaults, but with patience: a test's machine may be busy.
pub fn patient(redis_url: &str) -> CacheSettings {
    CacheSettings {
        redis_url: redis_url.to_owned(),
        key_prefix: String::new(),
        answer_within_ms: 20_000,
        keep_for_ms: 60_000,
        pause_ms: 60_000, // no test lasts so long: once it is left alone, it stays so
    }
}

impl Depot {
    /// With the stack's Redis and keys of its own.
    pub async fn open(test: &str) -> Self {
        Self::with(test, patient(&stack().redis_url)).await
    }

    /// One parcel of 7 grams at position 1.
    pub async fn with(test: &str, settings: CacheSettings) -> Self {
        let database = TestDatabase::create(test).await;
        let own = DatabaseSettings { url: database.url(), max_connections: 4 };
        migrate(&own, &[(1001, "parcels", TABLE)]).await.unwrap();
        let queries = Database::new(&own).unwrap().queries;
        let gate = ReadGate::new(queries.clone(), "parcels", vec![TOPIC.into()]);
        let reading = Reading { pool: queries, gate, wait: Duration::ZERO };
        let defaults = include_str!("../../../service-kit/config.toml");
        let kit = load_from::<KitSettings>(defaults, None, []).unwrap().settings;
        let runtime = Runtime::new(kit.http);
        let prefix = format!("{}:", unique_prefix(test));
        let settings = CacheSettings { key_prefix: prefix.clone(), ..settings };
        let cache = Cache::begin(&settings, &runtime).unwrap();
        let (computed, pool) = (AtomicU32::new(0), database.pool().await);
        let depot = Self { reading, cache, runtime, prefix, computed, pool, _database: database };
        depot.advance(1, 7).await;
        depot
    }

    /// As a projection does: rows and position in one transaction.
    pub async fn advance(&self, position: i64, weight: i64) {
        self.sql(&format!(
            "begin;
             insert into parcels values (1, {weight})
                 on conflict (id) do update set weight = excluded.weight;
             insert into projection.checkpoints
                 (projection, topic, partition, position, partitions, recorded_at)
             values ('parcels', '{TOPIC}', 0, {position}, 1, now())
             on conflict (projection, topic, partition)
                 do update set position = excluded.position, recorded_at = excluded.recorded_at;
             commit"
        ))
        .await;
    }

    pub async fn sql(&self, statements: &str) {
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&self.pool).await.unwrap();
    }

    /// What all parcels weigh, as a route asks for it.
    pub async fn weight(&self) -> i64 {
        self.ask(async {}).await
    }

    /// The same, with something that happens while the database is at it.
    pub async fn weight_while(&self, happens: impl Future<Output = ()>) -> i64 {
        self.ask(happens).await
    }

    async fn ask(&self, happens: impl Future<Output = ()>) -> i64 {
        let fresh = self.reading.fresh(&ConsistencyTokens(Vec::new())).await.unwrap();
        let sum = "select sum(weight)::bigint from parcels";
        let compute = async {
            self.computed.fetch_add(1, Ordering::Relaxed);
            let weight = sqlx::query_scalar::<_, i64>(sum).fetch_one(&self.reading.pool).await;
            happens.await;
            weight
        };
        let question = Question::of::<Parcels>(sum);
        let asked = self.cache.get_or(&self.reading, fresh, &question, compute);
        tokio::time::timeout(DEADLINE, asked).await.expect("an answer").unwrap().1
    }

    /// How often the database was asked.
    pub fn computed(&self) -> u32 {
        self.computed.load(Ordering::Relaxed)
    }

    /// Asks until the answer comes from Redis.
    pub async fn until_kept(&self, weight: i64) {
        eventually(DEADLINE, "the answer is kept", async || {
            let before = self.computed();
            assert_eq!(self.weight().await, weight);
            self.computed() == before
        })
        .await;
    }

    /// Why readiness calls the cache degraded; empty: it is ready.
    pub fn trouble(&self) -> String {
        let readiness = serde_json::to_value(self.runtime.health.readiness()).unwrap();
        let cache = &readiness["components"]["cache"];
        match cache["status"].as_str() {
            Some("ready") => String::new(),
            Some("degraded") => cache["reason"].as_str().unwrap().to_owned(),
            _ => panic!("a service goes on without its cache: {readiness}"),
        }
    }

    /// Asks until the cache is degraded for a reason with these words; every answer is `weight`.
    pub async fn until_degraded(&self, words: &str, weight: i64) {
        eventually(DEADLINE, "the cache is degraded", async || {
            assert_eq!(self.weight().await, weight);
            self.trouble().contains(words)
        })
        .await;
    }

    /// Its keys in the stack's Redis.
    pub async fn keys(&self) -> Vec<String> {
        redis().await.keys(format!("{}*", self.prefix)).await.unwrap()
    }
}

pub async fn redis() -> MultiplexedConnection {
    let client = redis::Client::open(stack().redis_url).unwrap();
    let config = AsyncConnectionConfig::new();
    let config = config.set_connection_timeout(Some(DEADLINE)).set_response_timeout(Some(DEADLINE));
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}
