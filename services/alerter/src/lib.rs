//! Alerts: inventory events flow in from Kafka, episodes open and resolve in the service's own
//! database, and are told to a webhook and over HTTP.
//!
//! [`stock_watch`] is the view that the rule judges on, [`episodes`] what it writes in the same
//! transaction, [`delivering`] what tells the receiver ([`webhook`], [`signature`],
//! [`destination`]), [`alerts`] and [`http`] what answers.

#![deny(clippy::wildcard_enum_match_arm)] // a new event must be answered for by name

pub mod alerts;
pub mod database;
pub mod delivering;
pub mod destination;
pub mod episodes;
pub mod http;
pub mod settings;
pub mod signature;
pub mod stock_watch;
pub mod webhook;

mod cursor;
mod projecting;
mod reading;

use std::time::Duration;

use factline_projection::ReadGate;
use service_kit::{Phase, Program, Runtime, ServiceError, http::Routes};
use utoipa::OpenApi;

use crate::{
    database::Database,
    delivering::Delivering,
    reading::Reading,
    settings::{Role, Settings},
    stock_watch::Watch,
};

/// The service.
pub struct Alerter;

impl Program for Alerter {
    const NAME: &'static str = "alerter";
    const DEFAULTS: &'static str = include_str!("../config.toml");
    type Settings = Settings;

    async fn start(settings: Settings, runtime: Runtime) -> Result<(), ServiceError> {
        let database = Database::new(&settings.database)?;
        database.watch(&runtime);
        let watch = Watch { cooldown: Duration::from_millis(settings.alerts.cooldown_ms) };
        let gate = projecting::begin(watch, &settings, &database, &runtime)?;
        if settings.plays(Role::Deliver) && !settings.webhook.url.is_empty() {
            let delivering =
                Delivering::new(database.deliveries.clone(), settings.webhook.clone())?;
            let component = runtime.health.component("webhook");
            runtime.tasks.spawn(Phase::Working, "deliveries", |stop| async move {
                delivering.run(component, stop).await;
                Ok(())
            });
        }
        if settings.plays(Role::Query) {
            runtime.serve_http(routes(&settings, &database, gate)).await?;
        }
        Ok(())
    }

    async fn migrate(settings: Settings) -> Result<(), ServiceError> {
        database::migrate(&settings.database).await
    }

    fn openapi() -> Option<utoipa::openapi::OpenApi> {
        Some(http::Api::openapi())
    }
}

/// The public routes, over a database that this process or another one projects into.
#[must_use]
pub fn routes(settings: &Settings, database: &Database, gate: ReadGate) -> Routes {
    let wait = Duration::from_millis(settings.query.consistency_wait_ms);
    http::routes(Reading { pool: database.queries.clone(), gate, wait })
}
