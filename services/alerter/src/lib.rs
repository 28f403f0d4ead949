//! Alerts and reactions: events flow in from Kafka, and figures from the services' operators' ports;
//! episodes open and resolve in the service's own database and are told over webhook and mail, and
//! mail goes out to customers.
//!
//! - [`stock_watch`] is the view that low stock is judged on, [`watching`] judges figures, both by
//!   [`rules`]; [`episodes`] is what either writes in its own transaction.
//! - [`delivering`] tells them, how much at once included; [`webhook`] and [`email`] are the ways,
//!   [`outbox`] how whatever is due gets out and is marked.
//! - [`reactions`] make mail of events.
//! - [`alerts`], [`silences`] and [`http`] are what people see and do; `read-kit` is what every read
//!   service has around its views.

#![deny(clippy::wildcard_enum_match_arm)] // a new event must be answered for by name

pub mod alerts;
pub mod delivering;
pub mod email;
pub mod episodes;
pub mod http;
pub mod outbox;
pub mod reactions;
pub mod rules;
pub mod settings;
pub mod silences;
pub mod stock_watch;
mod tls;
pub mod watching;
pub mod webhook;
mod wiring;

use read_kit::{Database, Migration};
use service_kit::{Program, Runtime, ServiceError};
use utoipa::OpenApi;

use crate::settings::Settings;

/// The service's own migrations, in order.
const MIGRATIONS: [Migration; 2] = [
    (1001, "alerts", include_str!("../migrations/1001_alerts.sql")),
    (1002, "reactions", include_str!("../migrations/1002_reactions.sql")),
];

/// The service.
pub struct Alerter;

impl Program for Alerter {
    const NAME: &'static str = "alerter";
    const DEFAULTS: &'static str = include_str!("../config.toml");
    type Settings = Settings;

    async fn start(settings: Settings, runtime: Runtime) -> Result<(), ServiceError> {
        let database = Database::new(&settings.database)?;
        database.watch(&runtime);
        let reading = wiring::watch(&settings, &database, &runtime)?;
        wiring::react(&settings, &database, &runtime)?;
        wiring::deliver(&settings, &runtime)?;
        wiring::query(&settings, reading, &runtime).await
    }

    async fn migrate(settings: Settings) -> Result<(), ServiceError> {
        read_kit::migrate(&settings.database, &MIGRATIONS).await
    }

    fn openapi() -> Option<utoipa::openapi::OpenApi> {
        Some(http::Api::openapi())
    }
}
