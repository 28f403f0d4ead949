//! An alerter on a database of its own, without Kafka: events are handed to it as the projection
//! runtime would.

use std::time::Duration;

use alerter::{
    Alerter, delivering::Delivering, settings::Settings, settings::WebhookSettings,
    stock_watch::Watch,
};
use domain::inventory::{InventoryEvent, ItemAdded, ItemSold, StockReceived};
use factline_core::Recorded;
use factline_projection::Projection;
use factline_testkit::{History, TestDatabase, eventually_ok};
use service_kit::{
    Health, Program,
    health::ComponentStatus,
    settings::{Secret, load_service},
};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Nothing here takes longer, so a test that waits so long has failed.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// 24 bytes in base64.
pub const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";

pub fn added(quantity: i64) -> InventoryEvent {
    let (name, currency) = ("Lantern".to_owned(), "GBP".to_owned());
    ItemAdded { name, quantity, unit_price_cents: 255, reorder_point: 5, currency }.into()
}

pub fn sold(quantity: i64) -> InventoryEvent {
    let (unit_price_cents, revenue_cents) = (255, 255 * quantity);
    let (currency, country) = ("GBP".to_owned(), None);
    ItemSold { quantity, unit_price_cents, revenue_cents, currency, country }.into()
}

pub fn received(quantity: i64) -> InventoryEvent {
    StockReceived { quantity, unit_price_cents: None }.into()
}

/// Item A at 10, low, fine, low, fine, … with every event after the first.
pub fn swings(times: usize) -> Vec<Recorded<InventoryEvent>> {
    let swing = |history: History<_>, turn: usize| {
        history.then("A", if turn.is_multiple_of(2) { sold(9) } else { received(9) })
    };
    (0..times).fold(History::new().then("A", added(10)), swing).build()
}

pub struct Alarm {
    pub database: TestDatabase,
    pub pool: PgPool,
    watch: Watch,
    health: Health,
}

/// A delivery's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: Uuid,
    pub kind: String,
    pub state: String,
    pub attempts: i32,
    pub waits_ms: i64,
    pub last_error: Option<String>,
}

impl Alarm {
    pub async fn new(test: &str, cooldown: Duration) -> Self {
        let database = TestDatabase::create(test).await;
        let url = [("FACTLINE__DATABASE__URL".to_owned(), database.url())];
        let loaded = load_service::<Settings>(Alerter::DEFAULTS, None, url).unwrap();
        Alerter::migrate(loaded.settings.1).await.unwrap();
        let (pool, health) = (database.pool().await, Health::new());
        Self { database, pool, watch: Watch { cooldown }, health }
    }

    /// One transaction of the projection.
    pub async fn happens(&self, events: &[Recorded<InventoryEvent>]) {
        let mut connection = PgConnection::connect(&self.database.url()).await.unwrap();
        self.watch.prepare(&mut connection).await.unwrap();
        let mut tx = connection.begin().await.unwrap();
        self.watch.apply(&mut tx, events).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Impatient settings: a failed attempt is repeated within milliseconds.
    pub fn webhook(url: String) -> WebhookSettings {
        WebhookSettings {
            url,
            secret: Secret::new(SECRET),
            allow_insecure: true,
            timeout_ms: 5_000,
            poll_ms: 10,
            concurrency: 4,
            retry_first_ms: 2,
            retry_most_ms: 50,
            max_attempts: 1_000,
        }
    }

    pub fn deliver(&self, settings: WebhookSettings) -> Deliverer {
        let delivering = Delivering::new(self.pool.clone(), settings).unwrap();
        let (stop, component) = (CancellationToken::new(), self.health.component("webhook"));
        let task = tokio::spawn(delivering.run(component, stop.clone()));
        Deliverer { stop, task }
    }

    pub async fn deliveries(&self) -> Vec<Row> {
        let rows: Vec<(Uuid, String, String, i32, i64, Option<String>)> = sqlx::query_as(
            "select d.id, d.kind,
                    case when delivered_at is not null then 'delivered'
                         when withdrawn_at is not null then 'withdrawn'
                         when abandoned_at is not null then 'abandoned' else 'pending' end,
                    attempts,
                    (extract(epoch from next_attempt_at - now()) * 1000)::bigint,
                    last_error
             from deliveries d join alert_episodes e on e.id = d.episode_id
             order by e.opened_at, d.kind",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let row = |(id, kind, state, attempts, waits_ms, last_error)| Row {
            id,
            kind,
            state,
            attempts,
            waits_ms,
            last_error,
        };
        rows.into_iter().map(row).collect()
    }

    /// The states of all deliveries, in order: `opened delivered`.
    pub async fn states(&self) -> Vec<String> {
        let told = |row: Row| format!("{} {}", row.kind, row.state);
        self.deliveries().await.into_iter().map(told).collect()
    }

    pub async fn until_states(&self, expected: &[&str]) {
        eventually_ok(DEADLINE, "the deliveries' states", async || {
            let states = self.states().await;
            if states == expected { Ok(()) } else { Err(format!("{states:?}")) }
        })
        .await;
    }

    pub async fn until_health(&self, matches: impl Fn(&ComponentStatus) -> bool) {
        eventually_ok(DEADLINE, "the webhook's health", async || {
            let status = self.health.readiness().components["webhook"].clone();
            if matches(&status) { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    }
}

pub struct Deliverer {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Deliverer {
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.task).await.expect("it stops").unwrap();
    }

    /// As a kill -9: whatever it was about to do, it does not.
    pub async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}
