//! The routes: most of them are rows of a kind's table, a path and the command behind it.

use axum::{
    Router,
    routing::{MethodRouter, delete, get, patch, post, put},
};
use domain::{customer::Customer, inventory::Item, order::Order};
use http::Method;
use service_kit::http::{Routes, openapi_routes};
use sqlx::PgPool;

use crate::{
    App, aliases, batch, commands, flow, history,
    kinds::{CommandRoute, Kind},
    openapi, stock_levels,
};

/// Everything that the public port answers. `levels`: where stock levels are read, if they are kept.
pub(crate) fn all(app: App, levels: Option<PgPool>) -> Routes {
    let router = Router::new()
        .route("/inventory/sell", post(aliases::sell))
        .route("/inventory/history", get(aliases::history))
        .route("/history", get(flow::of))
        .route("/commands", post(batch::run).get(openapi::commands));
    let router = with::<Item>(router);
    let router = with::<Order>(router);
    let router = with::<Customer>(router);
    let levels = levels.map_or_else(Router::new, |pool| {
        Router::new().route("/inventory/{sku}/stock", get(stock_levels::show)).with_state(pool)
    });
    Routes::json(router.with_state(app).merge(levels))
        .with_other(openapi_routes(&openapi::document()))
}

fn with<A: Kind>(router: Router<App>) -> Router<App> {
    let router = router.route(A::HISTORY, get(history::of::<A>));
    A::ROUTES.iter().fold(router, |router, route| router.route(route.path, handler::<A>(route)))
}

fn handler<A: Kind>(route: &'static CommandRoute) -> MethodRouter<App> {
    let run = move |state, request| commands::run::<A>(route, state, request);
    match route.method {
        Method::PUT => put(run),
        Method::PATCH => patch(run),
        Method::DELETE => delete(run),
        _ => post(run),
    }
}
