//! `stock_levels`: how much of each item there is, kept in the transaction that appends the items' events
//! (opt-in, `[inline]`). An item's events flow in; its level flows out over `GET /inventory/{sku}/stock`,
//! and to whoever reads the table, as new as the last command that was answered.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use domain::inventory::{InventoryEvent, StockLevel};
use factline_core::{Fold, Folded, Recorded, StreamId};
use factline_log::{InlineView, classify};
use factline_projection::{FoldedView, Rows, View};
use http::header;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service_kit::{
    Problem, ServiceError,
    extract::{Json, Path},
};
use sqlx::{PgConnection, PgPool};

use crate::{answer::unreadable, told};

/// The view.
struct StockLevels;

/// An item's level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StockRow {
    sku: String,
    on_hand: i64,
    reserved: i64,
    available: i64,
    discontinued: bool,
    version: i64,
}

impl View for StockLevels {
    const TABLE: &'static str = "inline.stock_levels";
    const KEY: &'static [&'static str] = &["sku"];
    const ROWS: Rows = Rows::OfOneStream;
}

impl Fold for StockLevels {
    const NAME: &'static str = "stock_levels";
    type Event = InventoryEvent;
    type Key = String;
    type Row = StockRow;

    fn key(event: &Recorded<InventoryEvent>) -> Option<String> {
        Some(event.envelope.stream_id.to_string())
    }

    fn fold(
        row: Option<StockRow>,
        Recorded { envelope, event }: &Recorded<InventoryEvent>,
    ) -> Folded<StockRow> {
        let before = row.map(|row| row.level());
        let Some(level) = StockLevel::after(before, event) else {
            return Folded::Impossible("the event does not fit the item's units");
        };
        Folded::Put(StockRow {
            sku: envelope.stream_id.to_string(),
            on_hand: level.on_hand,
            reserved: level.reserved,
            available: level.available(),
            discontinued: level.discontinued,
            version: envelope.version.0,
        })
    }
}

impl StockRow {
    const fn level(&self) -> StockLevel {
        let Self { on_hand, reserved, discontinued, .. } = *self;
        StockLevel { on_hand, reserved, reorder_point: 0, discontinued } // nobody asks who is low
    }
}

/// The view, for the items' lanes.
pub(crate) fn view() -> Arc<dyn InlineView<InventoryEvent>> {
    Arc::new(FoldedView::<StockLevels>::new())
}

/// Makes its table. Runs as the log's owner.
///
/// # Errors
/// The database refuses.
pub(crate) async fn migrate(owner: &mut PgConnection) -> Result<(), ServiceError> {
    let table = sqlx::raw_sql(include_str!("../migrations/stock_levels.sql")).execute(owner).await;
    table.map(drop).map_err(|error| told(classify("making the stock levels' table", error)))
}

/// Shows an item's level.
///
/// # Errors
/// 404 when there is no such item; the log does not answer.
pub(crate) async fn show(
    State(pool): State<PgPool>,
    Path(sku): Path<StreamId>,
) -> Result<Response, Problem> {
    const LEVEL: &str = "select to_jsonb(t) from inline.stock_levels t where sku = $1";
    let level = sqlx::query_scalar(LEVEL).bind(sku.as_str()).fetch_optional(&pool).await;
    let level: Option<Value> =
        level.map_err(|error| unreadable(classify("reading a stock level", error)))?;
    let level = level.ok_or_else(|| Problem::not_found("unknown_item", "there is no such item"))?;
    let etag = format!("\"{}\"", level["version"]);
    Ok(([(header::ETAG, etag)], Json(level)).into_response())
}

/// Its description.
pub(crate) fn operation(sku: &Value, responses: &Value) -> Value {
    let mut responses = responses.clone();
    responses["200"] = json!({
        "description": "the level, as new as the last command that was answered",
        "headers": { "ETag": { "schema": { "type": "string" }, "description": "the item's version" } },
        "content": { "application/json": { "schema": {
            "type": "object",
            "required": ["sku", "on_hand", "reserved", "available", "discontinued", "version"],
            "properties": {
                "sku": { "type": "string" },
                "on_hand": { "type": "integer", "format": "int64" },
                "reserved": { "type": "integer", "format": "int64" },
                "available": { "type": "integer", "format": "int64" },
                "discontinued": { "type": "boolean" },
                "version": { "type": "integer", "format": "int64" },
            },
        } } },
    });
    json!({
        "operationId": "GET /inventory/{sku}/stock",
        "summary": "Shows how much of an item there is, without a token. Only with `inline.stock_levels`; \
            otherwise there is no such path.",
        "tags": ["inventory"],
        "parameters": [sku],
        "responses": responses,
    })
}
