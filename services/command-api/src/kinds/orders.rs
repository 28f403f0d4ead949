//! The orders. What their decisions must know of customers and the catalogue is asked of those
//! streams' own lanes: the newest state that there is, and no table of another service.

use domain::{
    command::{CommandSpec, FieldValue, InvalidFields, ReadError, Shape, Stated},
    order::{Facts, Informed, KnownOrder, Order, OrderCommand, Questions, Quote},
    values::{CustomerId, EventId, OrderId},
};
use factline_core::StreamId;
use futures::future::try_join_all;
use http::Method;
use serde_json::{Value, json};
use service_kit::Problem;

use super::{CommandRoute, Kind, Store};
use crate::{App, answer::unreadable};

impl Kind for Order {
    type Command = OrderCommand;
    type Informed = Informed;

    const ID: &'static str = "order_id";
    const ID_DOC: &'static str = "The order: a UUID.";
    const ID_SHAPE: Shape = <OrderId as FieldValue>::SHAPE;
    const CREATING: &'static [&'static str] = &["order.create_order", "order.place_order"];
    const UNKNOWN: &'static str = "unknown_order";
    const SPECS: &'static [CommandSpec] = OrderCommand::SPECS;
    const HISTORY: &'static str = "/orders/{order_id}/history";
    const ROUTES: &'static [CommandRoute] = &[
        CommandRoute::new(Method::POST, "/orders", "order.create_order", true)
            .or_with("items", "order.place_order"),
        CommandRoute::new(Method::POST, "/orders/{order_id}/items", "order.add_order_item", true),
        CommandRoute::new(
            Method::DELETE,
            "/orders/{order_id}/items/{sku}",
            "order.remove_order_item",
            false,
        ),
        CommandRoute::new(
            Method::POST,
            "/orders/{order_id}/confirmation",
            "order.confirm_order",
            true,
        ),
        CommandRoute::new(
            Method::POST,
            "/orders/{order_id}/allocation",
            "order.allocate_order",
            true,
        ),
        CommandRoute::new(Method::POST, "/orders/{order_id}/payments", "order.pay_order", true),
        CommandRoute::new(
            Method::POST,
            "/orders/{order_id}/payment_failures",
            "order.fail_payment",
            true,
        ),
        CommandRoute::new(Method::POST, "/orders/{order_id}/shipment", "order.ship_order", true),
        CommandRoute::new(Method::POST, "/orders/{order_id}/delivery", "order.deliver_order", true),
        CommandRoute::new(
            Method::POST,
            "/orders/{order_id}/cancellation",
            "order.cancel_order",
            true,
        ),
        CommandRoute::new(
            Method::POST,
            "/orders/{order_id}/corrections",
            "order.correct_amount",
            true,
        ),
    ];

    fn stream_id(value: &Value) -> Result<StreamId, InvalidFields> {
        <OrderId as FieldValue>::read(value).map(StreamId::from)
    }

    fn read(name: &str, data: Value) -> Result<Stated<OrderCommand>, ReadError> {
        OrderCommand::read(name, data)
    }

    async fn inform(
        app: &App,
        stream_id: &StreamId,
        command: OrderCommand,
        actor: Option<&str>,
    ) -> Result<Informed, Problem> {
        let Questions { customers, skus, events } = command.questions();
        let customers = try_join_all(customers.into_iter().map(|id| customer(app, id)));
        let quotes = try_join_all(skus.into_iter().map(|sku| quote(app, sku)));
        let own_events = async {
            let ids: Vec<_> = events.iter().map(|id| id.get()).collect();
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            let topic = app.orders.lanes.topic();
            app.reader.of_stream(topic, stream_id, &ids).await.map_err(unreadable)
        };
        let (customers, quotes, events) =
            futures::future::try_join3(customers, quotes, own_events).await?;
        let facts = Facts {
            customers: customers.into_iter().flatten().collect(),
            quotes: quotes.into_iter().flatten().collect(),
            events: events.into_iter().filter_map(|id| EventId::try_from(id).ok()).collect(),
            actor: actor.map(str::to_owned),
        };
        Ok(Informed { command, facts })
    }

    fn shown(&self) -> Option<Value> {
        let order = self.known()?;
        let KnownOrder { customer_id, shipping_address, currency, status, lines, .. } = order;
        Some(json!({
            "customer_id": customer_id,
            "shipping_address": shipping_address,
            "currency": currency,
            "status": status,
            "lines": lines,
            "corrections_cents": order.corrections_cents,
            "total_cents": order.total_cents(),
        }))
    }

    fn store(app: &App) -> &Store<Self> {
        &app.orders
    }
}

/// The customer, if there is one.
async fn customer(app: &App, id: CustomerId) -> Result<Option<CustomerId>, Problem> {
    let customer = app.customers.now(id.into()).await?;
    Ok(customer.known().map(|_| id))
}

/// What the catalogue says about an item, if it knows it.
async fn quote(app: &App, sku: StreamId) -> Result<Option<(StreamId, Quote)>, Problem> {
    let item = app.items.now(sku.clone()).await?;
    Ok(item.known().map(|item| {
        let quote = Quote {
            name: item.name.clone(),
            unit_price_cents: item.unit_price_cents,
            currency: item.currency.clone(),
            discontinued: item.discontinued,
        };
        (sku, quote)
    }))
}
