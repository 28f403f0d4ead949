//! Figures: inventory events flow in from Kafka, sums flow into the service's own database and out
//! over HTTP.
//!
//! The views are [`inventory_stats`], [`sales_by_day`] and [`sales_by_country`]: each has its row,
//! its fold and its query in one file, and a consumer group of its own. `factline-projection` runs
//! them; [`http`] asks them.

#![deny(clippy::wildcard_enum_match_arm)] // a new event must be answered for by name

pub mod database;
pub mod http;
pub mod inventory_stats;
pub mod sales;
pub mod sales_by_country;
pub mod sales_by_day;
pub mod settings;

mod projecting;
mod reading;

use std::time::Duration;

use factline_projection::{FoldedView, ReadGate, View};
use service_kit::{Program, Runtime, ServiceError, http::Routes};
use utoipa::OpenApi;

use crate::{
    database::Database,
    http::Views,
    inventory_stats::InventoryStats,
    reading::Reading,
    sales_by_country::SalesByCountry,
    sales_by_day::SalesByDay,
    settings::{Role, Settings},
};

/// The service.
pub struct ProjectorStats;

impl Program for ProjectorStats {
    const NAME: &'static str = "projector-stats";
    const DEFAULTS: &'static str = include_str!("../config.toml");
    type Settings = Settings;

    async fn start(settings: Settings, runtime: Runtime) -> Result<(), ServiceError> {
        let database = Database::new(&settings.database)?;
        database.watch(&runtime);
        let gates = Gates {
            inventory_stats: begin::<InventoryStats>(&settings, &database, &runtime)?,
            sales_by_day: begin::<SalesByDay>(&settings, &database, &runtime)?,
            sales_by_country: begin::<SalesByCountry>(&settings, &database, &runtime)?,
        };
        if settings.plays(Role::Query) {
            runtime.serve_http(routes(&settings, &database, gates)).await?;
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

fn begin<V: View>(
    settings: &Settings,
    database: &Database,
    runtime: &Runtime,
) -> Result<ReadGate, ServiceError> {
    projecting::begin(FoldedView::<V>::new(), settings, database, runtime)
}

/// How far each view is.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // the views' own names
pub struct Gates {
    pub inventory_stats: ReadGate,
    pub sales_by_day: ReadGate,
    pub sales_by_country: ReadGate,
}

/// The public routes, over a database that this process or another one projects into.
#[must_use]
pub fn routes(settings: &Settings, database: &Database, gates: Gates) -> Routes {
    let wait = Duration::from_millis(settings.query.consistency_wait_ms);
    let reading = |gate| Reading { pool: database.queries.clone(), gate, wait };
    http::routes(Views {
        inventory_stats: reading(gates.inventory_stats),
        sales_by_day: reading(gates.sales_by_day),
        sales_by_country: reading(gates.sales_by_country),
    })
}
