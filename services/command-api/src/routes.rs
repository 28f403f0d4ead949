//! The routes: most of them are rows of one table, a path and the command behind it.

use axum::{
    Router,
    routing::{MethodRouter, delete, get, post, put},
};
use http::Method;
use service_kit::http::{Routes, openapi_routes};

use crate::{App, aliases, commands, history, openapi};

/// A path whose requests are one command.
pub(crate) struct CommandRoute {
    pub method: Method,
    /// `{sku}` names the stream; any other parameter is a field of the command.
    pub path: &'static str,
    /// The command's name on the wire.
    pub command: &'static str,
    /// A success makes something new: 201, otherwise 200.
    pub creates: bool,
}

const fn route(
    method: Method,
    path: &'static str,
    command: &'static str,
    creates: bool,
) -> CommandRoute {
    CommandRoute { method, path, command, creates }
}

/// Every command that has a path of its own.
pub(crate) static COMMAND_ROUTES: [CommandRoute; 13] = [
    route(Method::POST, "/inventory", "inventory.add_item", true),
    route(Method::DELETE, "/inventory/{sku}", "inventory.discontinue_item", false),
    route(Method::POST, "/inventory/{sku}/receipts", "inventory.receive_stock", true),
    route(Method::POST, "/inventory/{sku}/sales", "inventory.sell_item", true),
    route(Method::POST, "/inventory/{sku}/returns", "inventory.return_item", true),
    route(Method::POST, "/inventory/{sku}/adjustments", "inventory.adjust_stock", true),
    route(Method::POST, "/inventory/{sku}/reservations", "inventory.reserve_stock", true),
    route(
        Method::DELETE,
        "/inventory/{sku}/reservations/{reservation_id}",
        "inventory.release_reservation",
        false,
    ),
    route(
        Method::POST,
        "/inventory/{sku}/reservations/{reservation_id}/shipment",
        "inventory.ship_reservation",
        true,
    ),
    route(Method::PUT, "/inventory/{sku}/price", "inventory.change_price", false),
    route(Method::PUT, "/inventory/{sku}/reorder_point", "inventory.change_reorder_point", false),
    route(Method::PUT, "/inventory/{sku}/name", "inventory.rename_item", false),
    // The name that the reference example gives to adding or receiving.
    route(Method::POST, "/inventory/add", "inventory.stock_item", true),
];

/// Everything that the public port answers.
pub(crate) fn all(app: App) -> Routes {
    let mut router = Router::new()
        .route("/inventory/sell", post(aliases::sell))
        .route("/inventory/history", get(aliases::history))
        .route("/inventory/{sku}/history", get(history::of_item));
    for route in &COMMAND_ROUTES {
        router = router.route(route.path, handler(route));
    }
    Routes::json(router.with_state(app)).with_other(openapi_routes(&openapi::document()))
}

fn handler(route: &'static CommandRoute) -> MethodRouter<App> {
    let run = move |state, request| commands::run(route, state, request);
    match route.method {
        Method::PUT => put(run),
        Method::DELETE => delete(run),
        _ => post(run),
    }
}
