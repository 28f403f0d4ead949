//! The routes of the reference example that are more than another name for a command.

use axum::{
    extract::{FromRequest, Request, State},
    response::Response,
};
use domain::inventory::{Item, KnownItem};
use serde::Deserialize;
use serde_json::Value;
use service_kit::{
    Problem,
    extract::{Json, Query},
};

use crate::{
    App, answer,
    commands::{CommandHeaders, execute, object},
    history,
};

/// `POST /inventory/sell`: a sale that also answers what remains.
pub(crate) async fn sell(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let headers = CommandHeaders::read(&mut parts).await?;
    let Json(body) = Json::<Value>::from_request(Request::from_parts(parts, body), &()).await?;
    let done = execute::<Item>(&app, "inventory.sell_item", object(body)?, headers).await?;
    let remaining = Item::known(&done.state).map_or(0, KnownItem::available);
    Ok(answer::done_with(&done, true, Some(remaining)))
}

/// `?sku=` of the history's alias.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryOf {
    sku: String,
}

/// `GET /inventory/history?sku=`: the first page of an item's history.
pub(crate) async fn history(
    State(app): State<App>,
    Query(of): Query<HistoryOf>,
) -> Result<Response, Problem> {
    history::page::<Item>(&app, of.sku, history::Page::first()).await
}
