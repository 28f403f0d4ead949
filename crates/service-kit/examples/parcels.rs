//! A whole service on the kit: settings, one route, one background task, the admin port.

use std::process::ExitCode;

use axum::{Router, routing::get};
use serde::Deserialize;
use service_kit::{
    Phase, Program, Runtime, ServiceError,
    http::{Routes, openapi_routes},
    run,
    settings::{Secret, SettingsProblem, Validate, in_section, required, within},
};
use utoipa::OpenApi;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    depot: DepotSettings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DepotSettings {
    address: String,
    shelves: u32,
    signing_secret: Secret,
    books: String,
}

impl Validate for Settings {
    fn validate(&self) -> Vec<SettingsProblem> {
        let problems = [
            required("address", &self.depot.address),
            required("signing_secret", self.depot.signing_secret.expose()),
            required("books", &self.depot.books),
            within("shelves", self.depot.shelves, 1..=10_000),
        ];
        in_section("depot", problems.into_iter().flatten().collect())
    }
}

#[derive(OpenApi)]
#[openapi(info(title = "parcels"))]
struct Document;

struct Parcels;

impl Program for Parcels {
    const NAME: &'static str = "parcels";
    const DEFAULTS: &'static str = include_str!("parcels.toml");
    type Settings = Settings;

    async fn start(settings: Settings, runtime: Runtime) -> Result<(), ServiceError> {
        let sorting = runtime.health.component("sorting");
        runtime.tasks.spawn(Phase::Working, "sorting", |stop| async move {
            sorting.ready();
            stop.cancelled().await;
            Ok(())
        });
        let address = settings.depot.address;
        let api = Router::new().route("/depot", get(|| async { address }));
        let routes = Routes::json(api).with_other(openapi_routes(&Document::openapi()));
        runtime.serve_http(routes).await?;
        Ok(())
    }

    fn openapi() -> Option<utoipa::openapi::OpenApi> {
        Some(Document::openapi())
    }
}

fn main() -> ExitCode {
    run::<Parcels>()
}
