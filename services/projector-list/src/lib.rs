//! Lists: inventory events flow in from Kafka, rows flow into the service's own database, pages of
//! rows flow out over HTTP.
//!
//! The view is [`inventory_list`]: its row, its fold and its queries. `factline-projection` runs
//! it; [`http`] asks it.

#![deny(clippy::wildcard_enum_match_arm)] // a new event must be answered for by name

pub mod database;
pub mod http;
pub mod inventory_list;
pub mod settings;

mod cursor;
mod projecting;
mod reading;

use std::time::Duration;

use factline_projection::{FoldedView, ReadGate};
use service_kit::{Program, Runtime, ServiceError, http::Routes};
use utoipa::OpenApi;

use crate::{
    database::Database,
    inventory_list::InventoryList,
    reading::Reading,
    settings::{Role, Settings},
};

/// The service.
pub struct ProjectorList;

impl Program for ProjectorList {
    const NAME: &'static str = "projector-list";
    const DEFAULTS: &'static str = include_str!("../config.toml");
    type Settings = Settings;

    async fn start(settings: Settings, runtime: Runtime) -> Result<(), ServiceError> {
        let database = Database::new(&settings.database)?;
        database.watch(&runtime);
        let view = FoldedView::<InventoryList>::new();
        let gate = projecting::begin(view, &settings, &database, &runtime)?;
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
