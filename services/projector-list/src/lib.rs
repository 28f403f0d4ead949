//! Lists: inventory events flow in from Kafka, rows flow into the service's own database, pages of
//! rows flow out over HTTP.
//!
//! The view is [`inventory_list`]: its row, its fold and its queries. `factline-projection` runs
//! it; [`http`] asks it; `read-kit` is what every read service has around its views. Beside the
//! views, [`live`] tells every event as it happens.

#![deny(clippy::wildcard_enum_match_arm)] // a new event must be answered for by name

pub mod http;
pub mod inventory_list;
pub mod live;
mod settings;

use factline_projection::FoldedView;
use read_kit::{Database, Migration, Role};
use service_kit::{Program, Runtime, ServiceError};
use utoipa::OpenApi;

use crate::{inventory_list::InventoryList, live::Live};
pub use settings::{LiveSettings, Settings};

/// The service's own migrations, in order.
const MIGRATIONS: [Migration; 1] =
    [(1001, "inventory list", include_str!("../migrations/1001_inventory_list.sql"))];

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
        let view = FoldedView::<InventoryList>::new();
        let reading = read_kit::begin(view, Role::Project, &settings, &database, &runtime)?;
        live.begin(&settings, &database, &runtime)?;
        if settings.plays(Role::Query) {
            runtime.serve_http(http::routes(reading).with_other(live.routes())).await?;
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
