//! A projection at work: its consumer, its workers, its export, what operators ask; started together, stopped together.

use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use factline_codec::{Codec, Registry};
use factline_core::{DomainEvent, Fault};
use factline_kafka::{Consumer, ConsumerSpec, KafkaSettings};
use sqlx::PgPool;
use tokio::{
    sync::{Notify, mpsc::unbounded_channel, watch},
    task::{JoinError, JoinSet},
    time::{Instant, sleep, sleep_until},
};
use tracing::{error, info, warn};

use crate::{
    ApplyError, Condition, Projection, ProjectionSettings, ReadGate, Status,
    attempt::connect,
    coordinator::{Coordinator, Ended},
    export::Export,
    failure::Class,
    forgetting,
    history::{History, topic::TopicHistory},
    lateness::Lateness,
    meters,
    operator::Operator,
    projection::AnyProjection,
    reading::Reader,
    rebuild::Rebuilder,
    schemas::Schemas,
    settings::ms,
    shared::Shared,
    status::{Board, Cause},
    worker::Worker,
};

/// What a projector is made of.
pub struct ProjectorParts<P> {
    /// What it does with events.
    pub projection: P,
    /// Where events come from and parked ones go to.
    pub kafka: KafkaSettings,
    /// The database of the projection's tables, migrated ([`MIGRATOR`](crate::MIGRATOR) and the
    /// service's own). The pool needs two connections for the runtime beside what queries take; an operator's act is
    /// carried out on a connection of its own.
    pub database: PgPool,
    /// Where unknown schemas are asked for.
    pub registry: Arc<Registry>,
    /// Where missing positions are read; without it the projection stops at a hole, and is rebuilt from
    /// its topic.
    pub history: Option<Arc<dyn History>>,
    /// How it works.
    pub settings: ProjectionSettings,
}

/// A projection, ready to run. The runtime below is compiled once for each set of events, whatever number
/// of projections read them.
pub struct Projector<E: DomainEvent> {
    shared: Arc<Shared<AnyProjection<E>>>,
    kafka: KafkaSettings,
    topic: Arc<str>,
}

/// Why a projector ended without having been told to, or not in order.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// The Kafka client cannot be made with these settings.
    #[error(transparent)]
    Client(Fault),
    /// A task of the runtime panicked: a defect. The process should end.
    #[error("a task of the projection runtime failed: {0}")]
    Task(#[from] JoinError),
    /// The Kafka client did not close in time and its thread is still there. The process should
    /// end; every effect is committed.
    #[error("the consumer did not close in time")]
    NotClosed,
}

impl<E: DomainEvent> Projector<E> {
    /// Touches nothing outside yet.
    ///
    /// # Errors
    /// Fatal: a compiled-in schema is not admissible.
    pub fn new<P: Projection<Event = E>>(parts: ProjectorParts<P>) -> Result<Self, Fault> {
        let ProjectorParts { projection, kafka, database, registry, history, settings } = parts;
        let codec = Codec::<E>::new()
            .map_err(|error| Fault::fatal("reading the compiled-in schemas", error))?;
        let schemas = Arc::new(Schemas::new(database.clone(), registry, &settings));
        let topic_history = || TopicHistory::new(kafka.clone(), Arc::clone(&schemas));
        let past = history.clone().unwrap_or_else(|| Arc::new(topic_history()));
        let topic = kafka.topic(E::KIND).into();
        let shared = Shared {
            projection: AnyProjection(Box::new(projection)),
            reader: Reader::new(codec, schemas),
            history,
            past,
            settings,
            database,
            board: Board::new(),
            lateness: Lateness::default(),
            moved: watch::Sender::new(0),
            parked: Notify::new(),
            halted: AtomicBool::new(false),
        };
        Ok(Self { shared: Arc::new(shared), kafka, topic })
    }

    /// How it is doing, for readiness.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.shared.board.watch()
    }

    /// Changes whenever a batch was committed, so that whoever acts on its rows need not look for them.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.shared.moved.subscribe()
    }

    /// Where queries wait for their tokens.
    #[must_use]
    pub fn gate(&self) -> ReadGate {
        let (database, moved) = (self.shared.database.clone(), self.shared.moved.subscribe());
        ReadGate::woken_by(database, self.shared.name(), vec![Arc::clone(&self.topic)], moved)
    }

    /// Projects until `shutdown` completes, then finishes what is under way, commits the offsets,
    /// leaves the group. Whatever is away at the start is waited for.
    ///
    /// # Errors
    /// See [`ProjectorError`].
    ///
    /// # Cancellation
    /// A dropped call is like a crash: nothing is lost, and the group notices after its session.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ProjectorError> {
        let mut shutdown = pin!(shutdown);
        tokio::select! {
            () = self.start() => {}
            () = &mut shutdown => return Ok(()),
        }
        let consumer = self.consumer().map_err(ProjectorError::Client)?;
        let (mut tasks, mut workers) = (JoinSet::new(), Vec::new());
        for index in 0..self.shared.settings.workers {
            let (orders, inbox) = unbounded_channel();
            let shared = Arc::clone(&self.shared);
            tasks.spawn(Worker::new(shared, index, inbox, consumer.handle()).run());
            workers.push(orders);
        }
        let (stop, stopped) = watch::channel(false);
        let export = Export::new(Arc::clone(&self.shared), self.kafka.clone());
        tasks.spawn(export.run(stopped.clone()));
        tasks.spawn(Operator::new(Arc::clone(&self.shared)).run(stopped.clone()));
        tasks.spawn(Rebuilder::new(Arc::clone(&self.shared)).run(stopped.clone()));
        tasks.spawn(forgetting::run(Arc::clone(&self.shared), stopped.clone()));
        let shared = Arc::clone(&self.shared);
        tasks.spawn(async move { shared.lateness.tell(shared.name(), stopped).await });

        let (shared, epochs) = (Arc::clone(&self.shared), HashMap::new());
        let mut coordinator = Coordinator { shared, consumer, workers, epochs };
        let ended = self.coordinate(&mut coordinator, &mut tasks, shutdown).await;
        coordinator.stop_workers();
        stop.send_replace(true);
        finish(&mut tasks).await?;
        info!(projection = self.shared.name(), "the projection has stopped");
        ended
    }

    async fn coordinate(
        &self,
        coordinator: &mut Coordinator<AnyProjection<E>>,
        tasks: &mut JoinSet<()>,
        mut shutdown: std::pin::Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Result<(), ProjectorError> {
        let mut closing: Option<Instant> = None;
        loop {
            tokio::select! {
                event = coordinator.consumer.next() => {
                    let ended = match event {
                        Some(event) => coordinator.handle(event).await,
                        None => Some(Ended::Closed { clean: false }),
                    };
                    match ended {
                        None => {}
                        Some(Ended::Closed { clean: true }) => return Ok(()),
                        Some(Ended::Closed { clean: false }) => return Err(ProjectorError::NotClosed),
                        Some(Ended::Failed(fault)) => return Err(ProjectorError::Client(fault)),
                    }
                }
                () = &mut shutdown, if closing.is_none() => {
                    coordinator.consumer.close();
                    // The thread gives up by itself; this is for a thread that is stuck.
                    let within = ms(self.shared.settings.close_within_ms) + Duration::from_secs(5);
                    closing = Some(Instant::now() + within);
                }
                ended = tasks.join_next() => {
                    if let Some(Err(error)) = ended {
                        error!(projection = self.shared.name(), %error, "a task panicked");
                        return Err(error.into());
                    }
                }
                () = sleep_until(closing.unwrap_or_else(Instant::now)), if closing.is_some() => {
                    return Err(ProjectorError::NotClosed);
                }
            }
        }
    }

    /// Waits until the database is there, migrated, and fits the projection.
    async fn start(&self) {
        let mut attempt = 0;
        while let Err(error) = self.check().await {
            attempt += 1;
            let settings = &self.shared.settings;
            let (condition, wait) = match error.class() {
                Class::Config => (Condition::Misconfigured, ms(settings.config_retry_ms)),
                Class::Transient | Class::Unknown | Class::Poison => {
                    (Condition::Starting, settings.back_off(attempt))
                }
            };
            let reason = format!("cannot start: {error}");
            if self.shared.board.set(Cause::Start, condition, reason) {
                warn!(projection = self.shared.name(), %error, "the projection cannot start yet");
            }
            sleep(wait).await;
        }
        self.shared.board.clear(&Cause::Start);
        info!(projection = self.shared.name(), topic = %self.topic, "the projection starts");
    }

    async fn check(&self) -> Result<(), ApplyError> {
        drop(connect(&*self.shared).await?);
        self.shared.reader.schemas.load().await?;
        let (parked,): (i64,) =
            sqlx::query_as("select count(*) from projection.parked_streams where projection = $1")
                .bind(self.shared.name())
                .fetch_one(&self.shared.database)
                .await?;
        meters::announce(self.shared.name(), parked);
        Ok(())
    }

    fn consumer(&self) -> Result<Consumer, Fault> {
        let settings = &self.shared.settings;
        let spec = ConsumerSpec {
            group: self.kafka.group(self.shared.name()),
            topics: vec![Arc::clone(&self.topic)],
            backlog_records: settings.backlog_records,
            stall_after: ms(settings.stall_after_ms),
            close_within: ms(settings.close_within_ms),
        };
        Consumer::start(&self.kafka, spec)
    }
}

/// Awaits every task that is left; the first that panicked is the answer.
async fn finish(tasks: &mut JoinSet<()>) -> Result<(), JoinError> {
    let mut first = Ok(());
    while let Some(ended) = tasks.join_next().await {
        first = first.and(ended);
    }
    first
}
