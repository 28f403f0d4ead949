//! The words of the orders' tests: commands with what the border would have found out for them,
//! events, and what an order looks like after them.

use domain::{
    order::{
        AddOrderItem, AllocateOrder, CancelOrder, ConfirmOrder, ConfirmedLine, CorrectAmount,
        CreateOrder, DeliverOrder, Facts, FailPayment, Informed, Order, OrderAllocated,
        OrderAmountCorrected, OrderCancelled, OrderCommand, OrderConfirmed, OrderCreated,
        OrderDelivered, OrderEvent, OrderItemAdded, OrderItemRemoved, OrderPaid, OrderShipped,
        OrderStatus, PayOrder, PaymentFailed, PaymentMethod, PlaceOrder, Questions, Quote,
        RemoveOrderItem, ShipOrder,
    },
    values::{CustomerId, EventId},
};
use factline_core::StreamId;
use factline_testkit::Given;

pub const ADA: &str = "018f3c1e-7b1a-7000-8000-0000000000c1";
pub const NOBODY: &str = "018f3c1e-7b1a-7000-8000-0000000000c2";
pub const WRONG_EVENT: &str = "018f3c1e-7b1a-7000-8000-0000000000e1";
pub const FOREIGN_EVENT: &str = "018f3c1e-7b1a-7000-8000-0000000000e2";
pub const ADDRESS: &str = "12 St James's Square, London";

pub const EVERY_STATUS: [OrderStatus; 7] = [
    OrderStatus::Draft,
    OrderStatus::Confirmed,
    OrderStatus::Pending,
    OrderStatus::Paid,
    OrderStatus::Shipped,
    OrderStatus::Delivered,
    OrderStatus::Cancelled,
];

/// The shop's catalogue: SKU, price, currency, whether it is discontinued.
const CATALOGUE: [(&str, i64, &str, bool); 6] = [
    ("lantern", 250, "USD", false),
    ("candle", 99, "USD", false),
    ("sample", 0, "USD", false),
    ("pearl", 1_000_000_000_000, "USD", false),
    ("tea", 300, "GBP", false),
    ("gramophone", 900, "USD", true),
];

pub fn sku(text: &str) -> StreamId {
    StreamId::parse(text).unwrap()
}

pub fn customer(id: &str) -> CustomerId {
    id.try_into().unwrap()
}

pub fn event(id: &str) -> EventId {
    id.try_into().unwrap()
}

/// The border's part: what was asked is looked up, and nothing else.
pub fn answer(questions: Questions) -> Facts {
    let known = |sku: &StreamId| {
        let (_, unit_price_cents, currency, discontinued) =
            CATALOGUE.into_iter().find(|item| item.0 == sku.as_str())?;
        let (name, currency) = (named(sku.as_str()), currency.to_owned());
        Some(Quote { name, unit_price_cents, currency, discontinued })
    };
    Facts {
        customers: questions.customers.into_iter().filter(|id| *id == customer(ADA)).collect(),
        quotes: questions
            .skus
            .into_iter()
            .filter_map(|sku| Some((sku.clone(), known(&sku)?)))
            .collect(),
        events: questions.events.into_iter().filter(|id| *id == event(WRONG_EVENT)).collect(),
        actor: None,
    }
}

/// A command, with what the border found out for it.
pub fn informed(command: impl Into<OrderCommand>) -> Informed {
    let command = command.into();
    let facts = answer(command.questions());
    Informed { command, facts }
}

/// The same when the catalogue asks this much for the item by now.
pub fn at_price(mut informed: Informed, sku_text: &str, unit_price_cents: i64) -> Informed {
    informed.facts.quotes.get_mut(&sku(sku_text)).unwrap().unit_price_cents = unit_price_cents;
    informed
}

fn named(sku: &str) -> String {
    format!("a {sku}")
}

// What commands say. Values that cannot be are refused at the border, see wire.rs.

pub fn create_for(customer_id: &str, currency: Option<&str>) -> Informed {
    informed(CreateOrder {
        customer_id: customer(customer_id),
        shipping_address: ADDRESS.try_into().unwrap(),
        currency: currency.map(|currency| currency.try_into().unwrap()),
    })
}

pub fn create() -> Informed {
    create_for(ADA, None)
}

fn item(sku_text: &str, quantity: i64) -> AddOrderItem {
    AddOrderItem { sku: sku(sku_text), quantity: quantity.try_into().unwrap() }
}

pub fn add(sku_text: &str, quantity: i64) -> Informed {
    informed(item(sku_text, quantity))
}

pub fn place_for(customer_id: &str, items: &[(&str, i64)]) -> Informed {
    let items: Vec<_> = items.iter().map(|(sku, quantity)| item(sku, *quantity)).collect();
    informed(PlaceOrder {
        customer_id: customer(customer_id),
        items: items.try_into().unwrap(),
        shipping_address: ADDRESS.try_into().unwrap(),
        currency: None,
    })
}

pub fn place(items: &[(&str, i64)]) -> Informed {
    place_for(ADA, items)
}

pub fn remove(sku_text: &str) -> Informed {
    informed(RemoveOrderItem { sku: sku(sku_text) })
}

pub fn confirm() -> Informed {
    informed(ConfirmOrder {})
}

pub fn allocate() -> Informed {
    informed(AllocateOrder {})
}

pub fn pay(amount_cents: i64) -> Informed {
    informed(PayOrder {
        payment_id: "pay-1".try_into().unwrap(),
        amount_cents: amount_cents.try_into().unwrap(),
        method: PaymentMethod::Card,
    })
}

pub fn fail_payment() -> Informed {
    let (payment_id, reason) = ("pay-1".try_into().unwrap(), "declined".try_into().unwrap());
    informed(FailPayment { payment_id, reason })
}

pub fn ship() -> Informed {
    informed(ShipOrder {
        tracking_number: "RM1".try_into().unwrap(),
        carrier: "Royal Mail".try_into().unwrap(),
        estimated_delivery_on: None,
    })
}

pub fn deliver() -> Informed {
    informed(DeliverOrder {})
}

pub fn cancel() -> Informed {
    informed(CancelOrder { reason: "ordered twice".try_into().unwrap() })
}

pub fn correct_event(event_id: &str, delta_cents: i64) -> Informed {
    informed(CorrectAmount {
        delta_cents: delta_cents.try_into().unwrap(),
        reason: "voucher forgotten".try_into().unwrap(),
        corrects_event_id: event(event_id),
    })
}

pub fn correct(delta_cents: i64) -> Informed {
    correct_event(WRONG_EVENT, delta_cents)
}

// What has happened.

fn usd() -> String {
    "USD".to_owned()
}

pub fn created() -> OrderEvent {
    let (customer_id, shipping_address) = (ADA.to_owned(), ADDRESS.to_owned());
    OrderCreated { customer_id, shipping_address, currency: usd() }.into()
}

pub fn added(sku: &str, quantity: i64, unit_price_cents: i64) -> OrderEvent {
    OrderItemAdded { sku: sku.to_owned(), name: named(sku), quantity, unit_price_cents }.into()
}

pub fn removed(sku: &str, quantity: i64, unit_price_cents: i64) -> OrderEvent {
    OrderItemRemoved { sku: sku.to_owned(), quantity, unit_price_cents }.into()
}

/// With these lines (SKU, quantity, price) and nothing else on the order.
pub fn confirmed(lines: &[(&str, i64, i64)]) -> OrderEvent {
    let total_cents = lines.iter().map(|(_, quantity, price)| quantity * price).sum();
    confirmed_at(lines, total_cents)
}

pub fn confirmed_at(lines: &[(&str, i64, i64)], total_cents: i64) -> OrderEvent {
    let line = |(sku, quantity, unit_price_cents): &(&str, i64, i64)| {
        let (quantity, unit_price_cents) = (*quantity, *unit_price_cents);
        ConfirmedLine { sku: (*sku).to_owned(), name: named(sku), quantity, unit_price_cents }
    };
    let lines = lines.iter().map(line).collect();
    OrderConfirmed { customer_id: ADA.to_owned(), lines, total_cents, currency: usd() }.into()
}

pub fn allocated(total_cents: i64) -> OrderEvent {
    OrderAllocated { total_cents, currency: usd() }.into()
}

pub fn paid(amount_cents: i64) -> OrderEvent {
    let (payment_id, method) = ("pay-1".to_owned(), "card".to_owned());
    OrderPaid { payment_id, amount_cents, currency: usd(), method }.into()
}

pub fn payment_failed() -> OrderEvent {
    PaymentFailed { payment_id: "pay-1".to_owned(), reason: "declined".to_owned() }.into()
}

pub fn shipped() -> OrderEvent {
    let (tracking_number, carrier) = ("RM1".to_owned(), "Royal Mail".to_owned());
    OrderShipped { tracking_number, carrier, estimated_delivery_on: None }.into()
}

pub fn delivered() -> OrderEvent {
    OrderDelivered {}.into()
}

pub fn cancelled(refund_cents: i64) -> OrderEvent {
    let reason = "ordered twice".to_owned();
    OrderCancelled { reason, cancelled_by: None, refund_cents, currency: usd() }.into()
}

pub fn corrected(delta_cents: i64, total_cents: i64) -> OrderEvent {
    let (reason, corrects_event_id) = ("voucher forgotten".to_owned(), WRONG_EVENT.to_owned());
    OrderAmountCorrected { delta_cents, total_cents, currency: usd(), reason, corrects_event_id }
        .into()
}

pub fn nothing_known() -> Given<Order> {
    Given::nothing()
}

/// A draft without items.
pub fn draft() -> Given<Order> {
    Given::events([created()])
}

/// An order that went as far as this, of two lanterns at 2.50.
pub fn at(status: OrderStatus) -> Given<Order> {
    let draft = || draft().and([added("lantern", 2, 250)]);
    match status {
        OrderStatus::Draft => draft(),
        OrderStatus::Confirmed => draft().and([confirmed(&[("lantern", 2, 250)])]),
        OrderStatus::Pending => at(OrderStatus::Confirmed).and([allocated(500)]),
        OrderStatus::Paid => at(OrderStatus::Pending).and([paid(500)]),
        OrderStatus::Shipped => at(OrderStatus::Paid).and([shipped()]),
        OrderStatus::Delivered => at(OrderStatus::Shipped).and([delivered()]),
        OrderStatus::Cancelled => draft().and([cancelled(0)]),
    }
}

pub fn status_and_total(status: OrderStatus, total_cents: i64) -> impl FnOnce(&Order) {
    move |order| {
        let order = order.known().unwrap();
        assert_eq!((order.status, order.total_cents()), (status, total_cents));
    }
}

/// SKU, units and price of every line, by SKU.
pub fn lines(expected: &[(&str, i64, i64)]) -> impl FnOnce(&Order) {
    move |order| {
        let lines = &order.known().unwrap().lines;
        let line = |(sku, line): (&String, &domain::order::OrderLine)| {
            (sku.clone(), line.quantity, line.unit_price_cents)
        };
        let expected =
            expected.iter().map(|(sku, units, price)| ((*sku).to_owned(), *units, *price));
        assert_eq!(lines.iter().map(line).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}
