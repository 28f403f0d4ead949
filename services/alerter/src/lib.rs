//! Alerts: inventory events flow in from Kafka, episodes open and resolve in the service's own
//! database, and are told to a webhook and over HTTP.
//!
//! [`stock_watch`] is the view that the rule judges on, [`episodes`] what it writes in the same
//! transaction, [`delivering`] what tells the receiver ([`webhook`], [`signature`],
//! [`destination`]), [`alerts`] and [`http`] what answers; `read-kit` is what every read service
//! has around its views.

#![deny(clippy::wildcard_enum_match_arm)] // a new event must be answered for by name

pub mod alerts;
pub mod delivering;
pub mod destination;
pub mod episodes;
pub mod http;
pub mod settings;
pub mod signature;
pub mod stock_watch;
pub mod webhook;

use std::time::Duration;

use read_kit::{Database, Migration};
use service_kit::{Phase, Program, Runtime, ServiceError};
use utoipa::OpenApi;

use crate::{
    delivering::Delivering,
    settings::{Role, Settings},
    stock_watch::Watch,
};

/// The service's own migrations, in order.
const MIGRATIONS: [Migration; 1] =
    [(1001, "alerts", include_str!("../migrations/1001_alerts.sql"))];

/// One claims and one marks; a delivery under way holds none.
const DELIVERY_CONNECTIONS: u32 = 2;

/// The service.
pub struct Alerter;

impl Program for Alerter {
    const NAME: &'static str = "alerter";
    const DEFAULTS: &'static str = include_str!("../config.toml");
    type Settings = Settings;

    async fn start(settings: Settings, runtime: Runtime) -> Result<(), ServiceError> {
        let read = settings.read();
        let database = Database::new(&read.database)?;
        database.watch(&runtime);
        let watch = Watch { cooldown: Duration::from_millis(settings.alerts.cooldown_ms) };
        let reading = read_kit::begin(watch, Role::Watch, &read, &database, &runtime)?;
        let name = "heartbeat_alerts";
        read_kit::follow_heartbeat(name, Role::Watch, &read, &database, &runtime)?;
        if read.plays(Role::Deliver) && !settings.webhook.url.is_empty() {
            let pool = read_kit::pool(&read.database, "factline-deliveries", DELIVERY_CONNECTIONS)?;
            let delivering = Delivering::new(pool, settings.webhook)?;
            let component = runtime.health.component("webhook");
            runtime.tasks.spawn(Phase::Working, "deliveries", |stop| async move {
                delivering.run(component, stop).await;
                Ok(())
            });
        }
        if read.plays(Role::Query) {
            runtime.serve_http(http::routes(reading)).await?;
        }
        Ok(())
    }

    async fn migrate(settings: Settings) -> Result<(), ServiceError> {
        read_kit::migrate(&settings.database, &MIGRATIONS).await
    }

    fn openapi() -> Option<utoipa::openapi::OpenApi> {
        Some(http::Api::openapi())
    }
}
