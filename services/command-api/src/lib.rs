//! The write side: commands in over HTTP, events into the log, the log to Kafka.
//!
//! A request becomes a command (`commands`, `batch`) of some kind of aggregate (`kinds`), a lane of
//! the log decides it and appends its events (`factline-log`), and the answer tells what happened
//! (`answer`). In the same process, woken by
//! the lanes, the relay sends the log to Kafka (`factline-relay`), and the saga carries orders through
//! (`fulfilment`). History is read from the log
//! itself (`history`, `flow`): it is the one question that the write side answers.

mod aliases;
mod answer;
mod batch;
mod commands;
mod flow;
mod fulfilment;
mod heartbeat;
mod history;
mod kinds;
mod openapi;
mod routes;
mod settings;
mod stock_levels;

use std::{ops::Deref, sync::Arc, time::Duration};

use domain::{customer::Customer, inventory::Item, order::Order};
use factline_codec::{Codec, Registry};
use factline_core::{Aggregate, Fault, heartbeat::PARTITIONS};
use factline_log::{
    DatabaseWatch, InlineView, LaneParts, Lanes, LogReader, RelayCursors, classify, ensure_topic,
};
use factline_relay::{Relay, RelayParts, RelaySettings, RelayStatus};
use service_kit::{Component, Phase, Program, Runtime, ServiceError};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use kinds::{Kind, Store};
pub use openapi::document;
use settings::{Role, Settings};

/// Every kind of aggregate; each has a topic of its own.
const KINDS: [&str; 3] = [Item::KIND, Order::KIND, Customer::KIND];

/// What every handler needs: one pointer, for each request clones it more than once.
#[derive(Clone)]
pub(crate) struct App(Arc<Stores>);

impl Deref for App {
    type Target = Stores;
    fn deref(&self) -> &Stores {
        &self.0
    }
}

/// Where commands go, and where history comes from.
pub(crate) struct Stores {
    items: Store<Item>,
    orders: Store<Order>,
    customers: Store<Customer>,
    reader: LogReader,
}

/// The service.
pub struct CommandApi;

impl Program for CommandApi {
    const NAME: &'static str = "command-api";
    const DEFAULTS: &'static str = include_str!("../config.toml");
    type Settings = Settings;

    async fn start(settings: Settings, runtime: Runtime) -> Result<(), ServiceError> {
        let reader =
            LogReader::new(&settings.log.url, settings.log.read_connections).map_err(told)?;
        let mut wakes = KINDS.map(|_| Arc::<Notify>::default());
        let mut heartbeat_wake = Arc::<Notify>::default();
        let plays = |role| settings.roles.contains(&role);
        if plays(Role::Http) || plays(Role::Saga) {
            let (app, own) = open_all(&settings, reader.clone(), &runtime)?;
            wakes = own;
            if plays(Role::Http) {
                let levels = settings.inline.stock_levels.then(|| reader.pool().clone());
                runtime.serve_http(routes::all(app.clone(), levels)).await?;
                if settings.heartbeat.is_on() {
                    heartbeat_wake = heartbeat::begin(&settings, &runtime)?;
                }
            }
            if plays(Role::Saga) {
                fulfilment::begin(app, &settings, reader.clone(), &runtime)?;
            }
        }
        let audited = !settings.log.allow_unsafe_database;
        watch_log(&runtime, reader.clone(), settings.kafka.topic(Item::KIND), audited);
        if plays(Role::Relay) {
            for (kind, wake) in KINDS.into_iter().zip(wakes) {
                let pace = settings.relay.clone();
                spawn_relay(&settings, kind, pace, reader.clone(), wake, &runtime)?;
            }
            if settings.heartbeat.is_on() {
                let pace = heartbeat::relay(&settings.relay);
                spawn_relay(&settings, heartbeat::KIND, pace, reader, heartbeat_wake, &runtime)?;
            }
        }
        Ok(())
    }

    async fn migrate(settings: Settings) -> Result<(), ServiceError> {
        let mut owner = factline_log::migrate(&settings.log.owner_url).await.map_err(told)?;
        for kind in KINDS {
            let topic = settings.kafka.topic(kind);
            ensure_topic(&mut owner, &topic, settings.log.partitions).await.map_err(told)?;
        }
        if settings.heartbeat.is_on() {
            let topic = settings.kafka.topic(heartbeat::KIND);
            ensure_topic(&mut owner, &topic, PARTITIONS).await.map_err(told)?;
        }
        stock_levels::migrate(&mut owner).await?;
        fulfilment::prepare(&settings).await
    }

    async fn check(settings: Settings) -> Result<(), ServiceError> {
        fulfilment::check(&settings).await
    }

    fn openapi() -> Option<utoipa::openapi::OpenApi> {
        Some(document())
    }
}

fn told(fault: Fault) -> ServiceError {
    ServiceError::new(fault.to_string())
}

/// Opens the lanes of every kind; also gives what wakes their relays, in the order of [`KINDS`].
fn open_all(
    settings: &Settings,
    reader: LogReader,
    runtime: &Runtime,
) -> Result<(App, [Arc<Notify>; KINDS.len()]), ServiceError> {
    let levels = settings.inline.stock_levels.then(stock_levels::view);
    let (items, items_wake) = open::<Item>(settings, levels, runtime)?;
    let (orders, orders_wake) = open::<Order>(settings, None, runtime)?;
    let (customers, customers_wake) = open::<Customer>(settings, None, runtime)?;
    let app = App(Arc::new(Stores { items, orders, customers, reader }));
    Ok((app, [items_wake, orders_wake, customers_wake]))
}

/// Opens the lanes of a kind, with a view that they keep, if any; also gives what wakes its relay.
fn open<A: Kind>(
    settings: &Settings,
    view: Option<Arc<dyn InlineView<A::Event>>>,
    runtime: &Runtime,
) -> Result<(Store<A>, Arc<Notify>), ServiceError> {
    let topic = settings.kafka.topic(A::KIND);
    let views = view.into_iter().collect();
    let (lanes, parts) = Lanes::with_views(&settings.log, &topic, views).map_err(told)?;
    let wake = parts.appended.clone();
    own_lanes(runtime, lanes.clone(), parts);
    Ok((Store { lanes, codec: Arc::new(Codec::new()?) }, wake))
}

/// The lanes end when nothing can send to them any more: after HTTP has drained, this task drops
/// the last handle and awaits them, so that every accepted command is answered and stored.
fn own_lanes<A: Aggregate>(runtime: &Runtime, lanes: Lanes<A>, parts: LaneParts) {
    let name = format!("lanes of {}", A::KIND);
    runtime.tasks.spawn(Phase::Working, name, |stop| async move {
        stop.cancelled().await;
        drop(lanes);
        for lane in parts.tasks {
            lane.await.map_err(|error| ServiceError::new(format!("a lane ended: {error}")))?;
        }
        Ok(())
    });
}

/// Without the log there is nothing that this service can do: not ready. `audited`: a log that may
/// forget what it acknowledged is none.
fn watch_log(runtime: &Runtime, reader: LogReader, topic: String, audited: bool) {
    /// Often enough for a load balancer, rare against the commands' own queries.
    const EVERY: Duration = Duration::from_secs(2);
    let component = runtime.health.component("log");
    runtime.tasks.spawn(Phase::Watching, "log health", |stop| async move {
        let mut watch = DatabaseWatch::default();
        loop {
            match log_state(&reader, &topic, audited, &mut watch).await {
                Ok(()) => component.ready(),
                Err(fault) => component.not_ready(fault.to_string()),
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    });
}

async fn log_state(
    reader: &LogReader,
    topic: &str,
    audited: bool,
    watch: &mut DatabaseWatch,
) -> Result<(), Fault> {
    watch.look(reader.pool()).await.map_err(|error| classify("looking at the log", error))?;
    if reader.heads(topic).await?.is_empty() {
        return Err(Fault::fatal("looking for the topic", "the log is not migrated"));
    }
    if audited { reader.audit().await } else { Ok(()) }
}

fn spawn_relay(
    settings: &Settings,
    kind: &str,
    pace: RelaySettings,
    reader: LogReader,
    wake: Arc<Notify>,
    runtime: &Runtime,
) -> Result<(), ServiceError> {
    let parts = RelayParts {
        topic: settings.kafka.topic(kind).into(),
        cursors: RelayCursors::new(&reader),
        reader,
        registry: Arc::new(Registry::new(&settings.registry).map_err(told)?),
        registry_url: settings.registry.url.clone(),
        kafka: settings.kafka.clone(),
        settings: pace,
        wake,
    };
    let (relay, status) = Relay::new(parts).map_err(told)?;
    let name = format!("relay of {kind}");
    let component = runtime.health.component(&name);
    runtime.tasks.spawn(Phase::Working, name.clone(), |stop| async move {
        relay.run(stop).await;
        Ok(())
    });
    let name = format!("{name}: status");
    runtime.tasks.spawn(Phase::Watching, name, |stop| report(status, component, stop));
    Ok(())
}

/// Trouble of the relay degrades the service and no more: a command needs the log alone.
async fn report(
    mut status: watch::Receiver<RelayStatus>,
    component: Component,
    stop: CancellationToken,
) -> Result<(), ServiceError> {
    loop {
        let now = status.borrow_and_update().clone();
        match now {
            RelayStatus::Starting => component.degraded("starting"),
            RelayStatus::Running | RelayStatus::Standby => component.ready(),
            RelayStatus::WaitingForRegistry(why)
            | RelayStatus::Retrying(why)
            | RelayStatus::Failed(why) => component.degraded(why),
            RelayStatus::Stopped => component.degraded("stopped"),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = status.changed() => if changed.is_err() {
                stop.cancelled().await; // the relay is gone; its own task tells why
                return Ok(());
            },
        }
    }
}
