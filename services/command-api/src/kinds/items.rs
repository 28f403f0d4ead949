//! The inventory's items. Their commands need nothing but themselves.

use domain::{
    command::{CommandSpec, FieldValue, InvalidFields, ReadError, Shape, Stated},
    inventory::{InventoryCommand, Item, KnownItem},
};
use factline_core::StreamId;
use http::Method;
use serde_json::{Value, json};
use service_kit::Problem;

use super::{CommandRoute, Kind, Store};
use crate::App;

impl Kind for Item {
    type Command = InventoryCommand;
    type Informed = InventoryCommand;

    const ID: &'static str = "sku";
    const ID_DOC: &'static str = "The item: 1 to 128 bytes without control characters.";
    const ID_SHAPE: Shape = <StreamId as FieldValue>::SHAPE;
    const CREATING: &'static [&'static str] = &[]; // an item's name is its owner's
    const UNKNOWN: &'static str = "unknown_item";
    const SPECS: &'static [CommandSpec] = InventoryCommand::SPECS;
    const HISTORY: &'static str = "/inventory/{sku}/history";
    const ROUTES: &'static [CommandRoute] = &[
        CommandRoute::new(Method::POST, "/inventory", "inventory.add_item", true),
        CommandRoute::new(Method::DELETE, "/inventory/{sku}", "inventory.discontinue_item", false),
        CommandRoute::new(
            Method::POST,
            "/inventory/{sku}/receipts",
            "inventory.receive_stock",
            true,
        ),
        CommandRoute::new(Method::POST, "/inventory/{sku}/sales", "inventory.sell_item", true),
        CommandRoute::new(Method::POST, "/inventory/{sku}/returns", "inventory.return_item", true),
        CommandRoute::new(
            Method::POST,
            "/inventory/{sku}/adjustments",
            "inventory.adjust_stock",
            true,
        ),
        CommandRoute::new(
            Method::POST,
            "/inventory/{sku}/reservations",
            "inventory.reserve_stock",
            true,
        ),
        CommandRoute::new(
            Method::DELETE,
            "/inventory/{sku}/reservations/{reservation_id}",
            "inventory.release_reservation",
            false,
        ),
        CommandRoute::new(
            Method::POST,
            "/inventory/{sku}/reservations/{reservation_id}/shipment",
            "inventory.ship_reservation",
            true,
        ),
        CommandRoute::new(Method::PUT, "/inventory/{sku}/price", "inventory.change_price", false),
        CommandRoute::new(
            Method::PUT,
            "/inventory/{sku}/reorder_point",
            "inventory.change_reorder_point",
            false,
        ),
        CommandRoute::new(Method::PUT, "/inventory/{sku}/name", "inventory.rename_item", false),
        // The name that the reference example gives to adding or receiving.
        CommandRoute::new(Method::POST, "/inventory/add", "inventory.stock_item", true),
    ];

    fn stream_id(value: &Value) -> Result<StreamId, InvalidFields> {
        <StreamId as FieldValue>::read(value)
    }

    fn read(name: &str, data: Value) -> Result<Stated<InventoryCommand>, ReadError> {
        InventoryCommand::read(name, data)
    }

    async fn inform(
        _app: &App,
        _stream_id: &StreamId,
        command: InventoryCommand,
        _actor: Option<&str>,
    ) -> Result<InventoryCommand, Problem> {
        Ok(command)
    }

    fn shown(&self) -> Option<Value> {
        let item = self.known()?;
        let KnownItem { name, unit_price_cents, currency, reorder_point, discontinued, .. } = item;
        Some(json!({
            "name": name,
            "unit_price_cents": unit_price_cents,
            "currency": currency,
            "on_hand": item.on_hand,
            "reserved": item.reserved,
            "available": item.available(),
            "reservations": item.reservations,
            "reorder_point": reorder_point,
            "discontinued": discontinued,
        }))
    }

    fn store(app: &App) -> &Store<Self> {
        &app.items
    }
}
