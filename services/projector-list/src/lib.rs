//! Lists: events of items, orders and customers flow in from Kafka, rows flow into the service's own
//! database, pages of rows flow out over HTTP.
//!
//! The views are [`inventory_list`], [`order_list`], [`customer_list`] and [`shipment_requests`]: each
//! has its row, its fold and a consumer group of its own, and its queries beside them; [`orders`] asks
//! two at once.
//! `factline-projection` runs them; [`http`] asks them; `read-kit` is what every read service has
//! around its views. Beside the views, [`live`] tells every event as it happens.

#![deny(clippy::wildcard_enum_match_arm)] // a new event must be answered for by name

pub mod customer_list;
pub mod http;
pub mod inventory_list;
pub mod live;
pub mod order_list;
pub mod orders;
mod settings;
pub mod shipment_requests;

use factline_projection::{FoldedView, View};
use read_kit::{Database, Migration, ReadSettings, Reading, Role};
use service_kit::{Program, Runtime, ServiceError};
use utoipa::OpenApi;

use crate::{
    customer_list::CustomerList, http::Views, inventory_list::InventoryList, live::Live,
    order_list::OrderList, shipment_requests::ShipmentRequests,
};
pub use settings::{LiveSettings, Settings};

/// The service's own migrations, in order.
const MIGRATIONS: [Migration; 3] = [
    (1001, "inventory list", include_str!("../migrations/1001_inventory_list.sql")),
    (1002, "orders and customers", include_str!("../migrations/1002_orders_and_customers.sql")),
    (1003, "shipment requests", include_str!("../migrations/1003_shipment_requests.sql")),
];

/// The service.
pub struct ProjectorList;

impl Program for ProjectorList {
    const NAME: &'static str = "projector-list";
    const DEFAULTS: &'static str = include_str!("../config.toml");
    type Settings = Settings;

    async fn start(settings: Settings, runtime: Runtime) -> Result<(), ServiceError> {
        let live = Live::new(settings.live.clone(), &runtime)?;
        let settings = settings.read();
        let database = Database::new(&settings.database)?;
        database.watch(&runtime);
        let views = begin_views(&settings, &database, &runtime)?;
        live.begin(&settings, &database, &runtime)?;
        let name = "heartbeat_list";
        read_kit::follow_heartbeat(name, Role::Project, &settings, &database, &runtime)?;
        if settings.plays(Role::Query) {
            runtime.serve_http(http::routes(views).with_other(live.routes())).await?;
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
        inventory_list: begin::<InventoryList>(settings, database, runtime)?,
        order_list: begin::<OrderList>(settings, database, runtime)?,
        customer_list: begin::<CustomerList>(settings, database, runtime)?,
        shipment_requests: begin::<ShipmentRequests>(settings, database, runtime)?,
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
        let loaded = load_service::<Settings>(ProjectorList::DEFAULTS, None, []);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        let (_, own) = loaded.settings;
        let defaults = ProjectionSettings::default();
        assert_eq!(own.projection, defaults, "the file and the code state the same defaults");
    }
}
