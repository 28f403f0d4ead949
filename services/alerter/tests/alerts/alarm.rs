//! An alerter on a database of its own, without Kafka: events are handed to it as the projection
//! runtime would.

use std::time::Duration;

use alerter::{
    Alerter,
    delivering::{Delivering, Way},
    episodes::Terms,
    outbox::{Queue, Sender},
    rules::{Channel, LOW_STOCK, Rule, Rules},
    settings::Settings,
    stock_watch::Watch,
    webhook::{Webhook, WebhookSettings},
};
use domain::inventory::{InventoryEvent, ItemAdded, ItemSold, StockReceived};
use factline_core::Recorded;
use factline_projection::Projection;
use factline_testkit::{History, TestDatabase, eventually_ok};
use service_kit::{
    Component, Health, Program,
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
    pub rules: Rules,
    /// Messages that a channel begins in a minute.
    pub most_per_minute: u32,
    pub health: Health,
}

/// The committed rules.
pub fn rules() -> Rules {
    load_service::<Settings>(Alerter::DEFAULTS, None, []).unwrap().settings.1.rules
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
        let mut alarm = Self { database, pool, rules: rules(), most_per_minute: 1_000, health };
        alarm.low_stock().cooldown_ms = u64::try_from(cooldown.as_millis()).unwrap();
        alarm
    }

    /// The rule that items are judged by, to change it.
    pub fn low_stock(&mut self) -> &mut Rule {
        self.rules.0.iter_mut().find(|rule| rule.name == LOW_STOCK).unwrap()
    }

    /// The projection that judges items.
    pub fn watch(&self) -> Watch {
        let channels = [Channel::Webhook, Channel::Email];
        Watch { terms: Terms::of(self.rules.named(LOW_STOCK).unwrap(), &channels) }
    }

    /// One transaction of the projection.
    pub async fn happens(&self, events: &[Recorded<InventoryEvent>]) {
        let mut connection = PgConnection::connect(&self.database.url()).await.unwrap();
        let watch = self.watch();
        watch.prepare(&mut connection).await.unwrap();
        let mut tx = connection.begin().await.unwrap();
        watch.apply(&mut tx, events).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Impatient settings: a failed attempt is repeated within milliseconds.
    pub fn webhook(url: String) -> WebhookSettings {
        WebhookSettings {
            url,
            secret: Secret::new(SECRET),
            ca_file: String::new(),
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
        let pace = settings.pace();
        self.tell(Way::Webhook(Webhook::new(&settings).unwrap()), pace)
    }

    /// Tells what is due over the channel of this way.
    pub fn tell(&self, way: Way, pace: alerter::outbox::pace::Pace) -> Deliverer {
        let (pool, rules) = (self.pool.clone(), self.rules.clone());
        let sender = Delivering::new(pool, way, pace, self.most_per_minute, rules).sender();
        Deliverer::of(sender, self.health.component("webhook"))
    }

    pub async fn deliveries(&self) -> Vec<Row> {
        let rows: Vec<(Uuid, String, String, i32, i64, Option<String>)> = sqlx::query_as(
            "select d.id, d.kind,
                    case when delivered_at is not null then 'delivered'
                         when withdrawn_at is not null then 'withdrawn'
                         when abandoned_at is not null then 'abandoned'
                         when summarised_at is not null then 'summarised' else 'pending' end,
                    attempts,
                    (extract(epoch from next_attempt_at - now()) * 1000)::bigint,
                    last_error
             from deliveries d left join alert_episodes e on e.id = d.episode_id
             order by e.opened_at, d.kind, d.channel desc, d.id",
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

    /// Waits until the only delivery's last attempt failed with this word in its error; it is due
    /// again at once.
    pub async fn until_failed(&self, word: &str) {
        eventually_ok(DEADLINE, "a failed attempt", async || {
            let row = self.deliveries().await.remove(0);
            let error = row.last_error.unwrap_or_default();
            if error.contains(word) { Ok(()) } else { Err(error) }
        })
        .await;
        sqlx::query("update deliveries set last_error = null, next_attempt_at = now()")
            .execute(&self.pool)
            .await
            .unwrap();
    }

    pub async fn until_health(&self, matches: impl Fn(&ComponentStatus) -> bool) {
        self.until_component("webhook", matches).await;
    }

    pub async fn until_component(&self, name: &str, matches: impl Fn(&ComponentStatus) -> bool) {
        eventually_ok(DEADLINE, "a component's health", async || {
            let status = self.health.readiness().components[name].clone();
            if matches(&status) { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    }
}

/// Whatever sends, until it is stopped.
pub struct Deliverer {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Deliverer {
    pub fn of<Q: Queue>(sender: Sender<Q>, component: Component) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(sender.run(component, stop.clone()));
        Self { stop, task }
    }

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
