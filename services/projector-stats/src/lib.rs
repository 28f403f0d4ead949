//! Figures: events of items and orders flow in from Kafka, sums flow into the service's own database
//! and out over HTTP.
//!
//! The views are [`inventory_stats`], [`sales_by_day`], [`sales_by_country`], [`order_funnel`] and
//! [`order_completed`]: each has its row, its fold and its query in one file, and a consumer group of
//! its own. `factline-projection` runs them; [`http`] asks them; `read-kit` is what every read service
//! has around its views. What sums up every item or every order takes the database longest, and is
//! kept in Redis where there is one.

#![deny(clippy::wildcard_enum_match_arm)] // a new event must be answered for by name

pub mod http;
pub mod inventory_stats;
pub mod order_completed;
pub mod order_funnel;
pub mod sales;
pub mod sales_by_country;
pub mod sales_by_day;
mod settings;

use factline_projection::{FoldedView, View};
use read_kit::{Cache, Database, Migration, ReadSettings, Reading, Role};
use service_kit::{Program, Runtime, ServiceError};
use utoipa::OpenApi;

use crate::{
    http::Views, inventory_stats::InventoryStats, order_completed::OrderCompleted,
    order_funnel::OrderFunnel, sales_by_country::SalesByCountry, sales_by_day::SalesByDay,
};
pub use settings::Settings;

/// The service's own migrations, in order.
const MIGRATIONS: [Migration; 2] = [
    (1001, "statistics", include_str!("../migrations/1001_statistics.sql")),
    (1002, "orders", include_str!("../migrations/1002_orders.sql")),
];

/// The service.
pub struct ProjectorStats;

impl Program for ProjectorStats {
    const NAME: &'static str = "projector-stats";
    const DEFAULTS: &'static str = include_str!("../config.toml");
    type Settings = Settings;

    async fn start(settings: Settings, runtime: Runtime) -> Result<(), ServiceError> {
        let (cache, settings) = (settings.cache.clone(), settings.read());
        let database = Database::new(&settings.database)?;
        database.watch(&runtime);
        let views = begin_views(&settings, &database, &runtime)?;
        let name = "heartbeat_stats";
        read_kit::follow_heartbeat(name, Role::Project, &settings, &database, &runtime)?;
        if settings.plays(Role::Query) {
            let cache = Cache::begin(&cache, &runtime)?;
            runtime.serve_http(http::routes(views, cache)).await?;
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

/// Begins every view.
///
/// # Errors
/// The settings name what cannot be used.
pub fn begin_views(
    settings: &ReadSettings,
    database: &Database,
    runtime: &Runtime,
) -> Result<Views, ServiceError> {
    Ok(Views {
        inventory_stats: begin::<InventoryStats>(settings, database, runtime)?,
        sales_by_day: begin::<SalesByDay>(settings, database, runtime)?,
        sales_by_country: begin::<SalesByCountry>(settings, database, runtime)?,
        order_funnel: begin::<OrderFunnel>(settings, database, runtime)?,
        order_completed: begin::<OrderCompleted>(settings, database, runtime)?,
    })
}

fn begin<V: View>(
    settings: &ReadSettings,
    database: &Database,
    runtime: &Runtime,
) -> Result<Reading, ServiceError> {
    read_kit::begin(FoldedView::<V>::new(), Role::Project, settings, database, runtime)
}

#[cfg(test)]
mod tests {
    use factline_projection::ProjectionSettings;
    use service_kit::settings::load_service;

    use super::*;

    #[test]
    fn the_reference_file_lists_exactly_the_keys_that_exist() {
        let loaded = load_service::<Settings>(ProjectorStats::DEFAULTS, None, []);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        let (_, own) = loaded.settings;
        let defaults = ProjectionSettings::default();
        assert_eq!(own.projection, defaults, "the file and the code state the same defaults");
    }
}
