//! Figures: inventory events flow in from Kafka, sums flow into the service's own database and out
//! over HTTP.
//!
//! The views are [`inventory_stats`], [`sales_by_day`] and [`sales_by_country`]: each has its row,
//! its fold and its query in one file, and a consumer group of its own. `factline-projection` runs
//! them; [`http`] asks them.

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

use factline_projection::{FoldedView, View};
use service_kit::{Program, Runtime, ServiceError};
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
        let views = Views {
            inventory_stats: begin::<InventoryStats>(&settings, &database, &runtime)?,
            sales_by_day: begin::<SalesByDay>(&settings, &database, &runtime)?,
            sales_by_country: begin::<SalesByCountry>(&settings, &database, &runtime)?,
        };
        if settings.plays(Role::Query) {
            runtime.serve_http(http::routes(views)).await?;
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
) -> Result<Reading, ServiceError> {
    let gate = projecting::begin(FoldedView::<V>::new(), settings, database, runtime)?;
    let wait = Duration::from_millis(settings.query.consistency_wait_ms);
    Ok(Reading { pool: database.queries.clone(), gate, wait })
}
