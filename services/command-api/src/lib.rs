//! The write side: commands in over HTTP, events into the log, the log to Kafka.
//!
//! A request becomes a command (`commands`), a lane of the log decides it and appends its events
//! (`factline-log`), and the answer tells what happened (`answer`). In the same process, woken by
//! the lanes, the relay sends the log to Kafka (`factline-relay`). History is read from the log
//! itself (`history`): it is the one question that the write side answers.

mod aliases;
mod answer;
mod commands;
mod history;
mod openapi;
mod routes;
mod settings;

use std::{sync::Arc, time::Duration};

use domain::inventory::{InventoryEvent, Item};
use factline_codec::{Codec, Registry};
use factline_core::{DomainEvent, Fault};
use factline_log::{LaneParts, Lanes, LogReader, RelayCursors, ensure_topic};
use factline_relay::{Relay, RelayParts, RelayStatus};
use service_kit::{Component, Phase, Program, Runtime, ServiceError};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub use openapi::document;
use settings::{Role, Settings};

/// What every handler needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    items: Lanes<Item>,
    reader: LogReader,
    codec: Arc<Codec<InventoryEvent>>,
}

/// The service.
pub struct CommandApi;

impl Program for CommandApi {
    const NAME: &'static str = "command-api";
    const DEFAULTS: &'static str = include_str!("../config.toml");
    type Settings = Settings;

    async fn start(settings: Settings, runtime: Runtime) -> Result<(), ServiceError> {
        let topic = settings.kafka.topic(InventoryEvent::KIND);
        let reader =
            LogReader::new(&settings.log.url, settings.log.read_connections).map_err(told)?;
        let mut wake = Arc::<Notify>::default();
        if settings.roles.contains(&Role::Http) {
            let (items, parts) = Lanes::start(&settings.log, &topic).map_err(told)?;
            wake = parts.appended.clone();
            let codec = Arc::new(Codec::new()?);
            let app = App { items, reader: reader.clone(), codec };
            own_lanes(&runtime, app.items.clone(), parts);
            runtime.serve_http(routes::all(app)).await?;
        }
        let audited = !settings.log.allow_unsafe_database;
        watch_log(&runtime, reader.clone(), topic.clone(), audited);
        if settings.roles.contains(&Role::Relay) {
            spawn_relay(&settings, &topic, reader, wake, &runtime)?;
        }
        Ok(())
    }

    async fn migrate(settings: Settings) -> Result<(), ServiceError> {
        let mut owner = factline_log::migrate(&settings.log.owner_url).await.map_err(told)?;
        let topic = settings.kafka.topic(InventoryEvent::KIND);
        ensure_topic(&mut owner, &topic, settings.log.partitions).await.map_err(told)
    }

    fn openapi() -> Option<utoipa::openapi::OpenApi> {
        Some(document())
    }
}

fn told(fault: Fault) -> ServiceError {
    ServiceError::new(fault.to_string())
}

/// The lanes end when nothing can send to them any more: after HTTP has drained, this task drops
/// the last handle and awaits them, so that every accepted command is answered and stored.
fn own_lanes(runtime: &Runtime, items: Lanes<Item>, parts: LaneParts) {
    runtime.tasks.spawn(Phase::Working, "lanes", |stop| async move {
        stop.cancelled().await;
        drop(items);
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
        loop {
            match log_state(&reader, &topic, audited).await {
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

async fn log_state(reader: &LogReader, topic: &str, audited: bool) -> Result<(), Fault> {
    if reader.heads(topic).await?.is_empty() {
        return Err(Fault::fatal("looking for the topic", "the log is not migrated"));
    }
    if audited { reader.audit().await } else { Ok(()) }
}

fn spawn_relay(
    settings: &Settings,
    topic: &str,
    reader: LogReader,
    wake: Arc<Notify>,
    runtime: &Runtime,
) -> Result<(), ServiceError> {
    let parts = RelayParts {
        topic: topic.into(),
        cursors: RelayCursors::new(&reader),
        reader,
        registry: Arc::new(Registry::new(&settings.registry).map_err(told)?),
        registry_url: settings.registry.url.clone(),
        kafka: settings.kafka.clone(),
        settings: settings.relay.clone(),
        wake,
    };
    let (relay, status) = Relay::new(parts).map_err(told)?;
    let component = runtime.health.component("relay");
    runtime.tasks.spawn(Phase::Working, "relay", |stop| async move {
        relay.run(stop).await;
        Ok(())
    });
    runtime.tasks.spawn(Phase::Watching, "relay status", |stop| report(status, component, stop));
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
