//! A saga about parcels on a database of its own, and a post office that carries its commands out.

#![allow(dead_code)] // each test file uses a part of it

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use factline_core::{
    Recorded,
    saga::{Answer, Input, Outcome, Reaction, Saga, Unanswered},
};
use factline_projection::{MIGRATOR, Projection};
use factline_saga::{
    Errand, Executor, Later, MIGRATION, SagaParts, SagaRuntime, SagaSettings, Verdict,
};
use factline_testkit::{TestDatabase, eventually_ok, parcels::ParcelEvent};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};
use uuid::Uuid;

/// Generous: the machine may be busy with other tests.
pub const SOON: Duration = Duration::from_secs(60);

/// A parcel is booked with two carriers, labelled and invoiced; or the bookings are given back. A build
/// knows the definitions `FROM` to `TO`.
pub struct Delivery<const FROM: i32, const TO: i32>;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum News {
    Packed,
    Sent,
    Lost(String),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    /// Bookings by carrier: asked, held, returning, gone.
    pub bookings: BTreeMap<String, String>,
    pub labelled: bool,
    pub sent: bool,
    pub invoiced: bool,
    pub undo: bool,
    pub forgiving: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub parcel: String,
    pub what: String,
}

impl<const FROM: i32, const TO: i32> Saga for Delivery<FROM, TO> {
    const NAME: &'static str = "delivery";
    const DEFINITIONS: &'static [i32] = match (FROM, TO) {
        (1, 1) => &[1],
        (1, 2) => &[1, 2],
        (_, _) => &[2],
    };
    type Event = ParcelEvent;
    type Fact = (String, News);
    type State = (String, Parcel);
    type Command = Order;

    fn fact(event: &Recorded<ParcelEvent>) -> Option<(String, News)> {
        let news = match &event.event {
            ParcelEvent::ParcelPacked(_) => News::Packed,
            ParcelEvent::ParcelSent(_) => News::Sent,
            ParcelEvent::ParcelLost(lost) => News::Lost(lost.reason.clone()),
        };
        Some((event.envelope.stream_id.to_string(), news))
    }

    fn begin((parcel, news): &(String, News)) -> Option<(String, Parcel)> {
        matches!(news, News::Packed).then(|| (parcel.clone(), Parcel::default()))
    }

    fn react(
        &self,
        definition: i32,
        (name, mut parcel): (String, Parcel),
        input: Input<'_, (String, News)>,
    ) -> Result<Reaction<Self>, Unanswered> {
        let mut steps: Vec<String> = Vec::new();
        let mut outcome = None;
        let mut timers = Vec::new();
        match input {
            Input::Fact((_, News::Packed)) if parcel.bookings.is_empty() => {
                for carrier in ["rail", "road"] {
                    parcel.bookings.insert(carrier.to_owned(), "asked".to_owned());
                    steps.push(format!("book/{carrier}"));
                }
                timers.push(("pickup", Some(Duration::from_secs(3_600))));
            }
            Input::Fact((_, News::Packed)) => {} // more was put into it
            Input::Fact((_, News::Sent)) => {
                parcel.sent = true;
                timers.push(("pickup", None));
            }
            Input::Fact((_, News::Lost(reason))) => {
                assert!(reason != "a bug" || parcel.forgiving, "who would have thought");
                parcel.undo = true;
            }
            Input::Timer(_) => parcel.undo |= !parcel.sent,
            Input::Compensate => (parcel.undo, parcel.forgiving) = (true, true),
            Input::Answer { step: "invoice", answer: Answer::Accepted } => {
                outcome = Some(Outcome::Completed);
            }
            Input::Answer { step, answer } => parcel.answered(step, answer)?,
        }
        steps.extend(parcel.due(definition));
        let settled = parcel.bookings.values().all(|booking| booking == "gone");
        if parcel.undo && settled {
            outcome = Some(Outcome::Compensated);
        }
        let order = |step: String| {
            let order = Order { parcel: name.clone(), what: step.clone() };
            (step, order)
        };
        let commands = steps.into_iter().map(order).collect();
        Ok(Reaction { state: (name, parcel), commands, timers, outcome })
    }
}

impl Parcel {
    fn answered(&mut self, step: &str, answer: Answer<'_>) -> Result<(), Unanswered> {
        let Some((what, carrier)) = step.split_once('/') else { return Ok(()) };
        let booking = match (what, answer) {
            ("book", Answer::Accepted) => "held",
            ("book", Answer::Refused("full")) => {
                self.undo = true;
                "gone"
            }
            ("book", Answer::Refused(_)) if self.forgiving => "gone",
            (_, Answer::Refused(code)) => return Err(Unanswered(format!("{step}: {code}"))),
            (_, Answer::Accepted) => "gone",
        };
        self.bookings.insert(carrier.to_owned(), booking.to_owned());
        Ok(())
    }

    fn due(&mut self, definition: i32) -> Vec<String> {
        let mut due = Vec::new();
        if self.undo {
            for (carrier, booking) in self.bookings.iter_mut().filter(|(_, one)| *one == "held") {
                *booking = "returning".to_owned();
                due.push(format!("return/{carrier}"));
            }
        } else if !self.labelled && self.bookings.values().all(|booking| booking == "held") {
            self.labelled = true;
            due.push(if definition == 1 { "label" } else { "barcode" }.to_owned());
        }
        if self.sent && self.labelled && !self.invoiced {
            self.invoiced = true;
            due.push("invoice".to_owned());
        }
        due
    }
}

/// Carries orders out: each key has its effect once. Shared by all processes of a test, as a log is.
#[derive(Clone, Default)]
pub struct Post(Arc<Mutex<Books>>);

#[derive(Default)]
struct Books {
    keys: BTreeSet<Uuid>,
    /// `parcel: what`, as often as it had its effect.
    effects: Vec<String>,
    attempts: usize,
    refuses: BTreeMap<String, &'static str>,
    away: bool,
    hangs: Option<Hang>,
}

/// Where the next order stays for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hang {
    BeforeItsEffect,
    AfterItsEffect,
}

impl Post {
    pub fn refuse(&self, what: &str, code: &'static str) {
        self.0.lock().unwrap().refuses.insert(what.to_owned(), code);
    }

    pub fn accept_everything(&self) {
        self.0.lock().unwrap().refuses.clear();
    }

    pub fn is_away(&self, away: bool) {
        self.0.lock().unwrap().away = away;
    }

    pub fn hang(&self, hang: Option<Hang>) {
        self.0.lock().unwrap().hangs = hang;
    }

    pub fn attempts(&self) -> usize {
        self.0.lock().unwrap().attempts
    }

    /// Sorted.
    pub fn effects(&self) -> Vec<String> {
        let mut effects = self.0.lock().unwrap().effects.clone();
        effects.sort();
        effects
    }

    fn decide(&self, errand: &Errand<Order>) -> Result<Verdict, Later> {
        let mut books = self.0.lock().unwrap();
        let Order { parcel, what } = &errand.command;
        if books.away {
            return Err(Later("the post is away".to_owned()));
        }
        if let Some(code) = books.refuses.get(what) {
            let (code, detail) = ((*code).to_owned(), "no".to_owned());
            return Ok(Verdict::Refused { code, detail });
        }
        if books.keys.insert(errand.key) {
            books.effects.push(format!("{parcel}: {what}"));
        }
        Ok(Verdict::Accepted { event_id: None })
    }
}

#[async_trait]
impl Executor<Order> for Post {
    async fn execute(&self, errand: Errand<Order>) -> Result<Verdict, Later> {
        assert_eq!(errand.actor, "saga:delivery");
        let hangs = {
            let mut books = self.0.lock().unwrap();
            books.attempts += 1;
            books.hangs
        };
        if hangs == Some(Hang::BeforeItsEffect) {
            return std::future::pending().await;
        }
        let verdict = self.decide(&errand);
        if hangs == Some(Hang::AfterItsEffect) {
            return std::future::pending().await;
        }
        verdict
    }
}

/// A database with sagas, and the post.
pub struct World {
    pub database: TestDatabase,
    pub pool: PgPool,
    pub post: Post,
}

impl World {
    pub async fn create(test: &str) -> Self {
        let database = TestDatabase::create(test).await;
        let pool = database.pool().await;
        MIGRATOR.run(&pool).await.unwrap();
        sqlx::raw_sql(MIGRATION.2).execute(&pool).await.unwrap();
        Self { database, pool, post: Post::default() }
    }

    pub fn settings() -> SagaSettings {
        SagaSettings {
            decide_within_ms: 300,
            poll_ms: 20,
            retry_first_ms: 10,
            retry_most_ms: 100,
            ..SagaSettings::default()
        }
    }

    pub fn runtime<S: Saga<Command = Order>>(&self, saga: S) -> SagaRuntime<S, Post> {
        let database = PgPoolOptions::new()
            .max_connections(5)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy(&self.database.url())
            .unwrap();
        let (executor, settings) = (self.post.clone(), Self::settings());
        SagaRuntime::new(SagaParts { saga, executor, database, settings })
    }

    /// A process at work.
    pub fn start<S: Saga<Command = Order>>(&self, saga: S) -> Running {
        let runtime = self.runtime(saga);
        let (stop, stopped) = oneshot::channel::<()>();
        let (_commits, wakes) = watch::channel(0);
        let status = runtime.status();
        let task = tokio::spawn(runtime.run(wakes, async move {
            let _told = stopped.await;
        }));
        Running { status, stop: Some(stop), task }
    }

    /// Takes events in as a projector would: in one transaction.
    pub async fn take<S: Saga<Command = Order, Event = ParcelEvent>>(
        &self,
        saga: S,
        events: &[Recorded<ParcelEvent>],
    ) {
        let projection = self.runtime(saga).projection();
        let mut tx = self.pool.begin().await.unwrap();
        projection.apply(&mut tx, events).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Waits until an instance has this status.
    pub async fn becomes(&self, parcel: &str, status: &str) {
        eventually_ok(SOON, &format!("{parcel} is {status}"), async || {
            let row: Option<(String, String)> = sqlx::query_as(
                "select status, state::text from saga.instances where instance = $1",
            )
            .bind(parcel)
            .fetch_optional(&self.pool)
            .await
            .unwrap();
            match row {
                Some((now, _)) if now == status => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Waits until a step has this state.
    pub async fn step_becomes(&self, parcel: &str, step: &str, state: &str) {
        eventually_ok(SOON, &format!("{step} of {parcel} is {state}"), async || {
            let now: Option<String> = sqlx::query_scalar(
                "select state from saga.commands where instance = $1 and step = $2",
            )
            .bind(parcel)
            .bind(step)
            .fetch_optional(&self.pool)
            .await
            .unwrap();
            if now.as_deref() == Some(state) { Ok(()) } else { Err(format!("{now:?}")) }
        })
        .await;
    }

    pub async fn count(&self, what: &'static str) -> i64 {
        sqlx::query_scalar(what).fetch_one(&self.pool).await.unwrap()
    }

    pub async fn does(&self, what: &'static str) {
        sqlx::raw_sql(what).execute(&self.pool).await.unwrap();
    }
}

/// A saga at work.
pub struct Running {
    pub status: watch::Receiver<Vec<String>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    pub async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.unwrap();
    }

    /// Ends like a crash: whatever was under way stays where it was.
    pub async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    pub async fn says(&self, what: &str) {
        let status = self.status.clone();
        eventually_ok(SOON, what, async || {
            let reasons = status.borrow().join("; ");
            if reasons.contains(what) { Ok(()) } else { Err(reasons) }
        })
        .await;
    }
}

/// What a parcel's way costs when nothing goes wrong, sorted.
pub fn whole_way(parcel: &str) -> Vec<String> {
    ["book/rail", "book/road", "invoice", "label"].map(|what| format!("{parcel}: {what}")).into()
}
