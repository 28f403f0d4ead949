//! The figures of orders, on histories and over HTTP.

use domain::order::{
    OrderAllocated, OrderAmountCorrected, OrderCancelled, OrderConfirmed, OrderCreated,
    OrderDelivered, OrderEvent, OrderItemAdded, OrderItemRemoved, OrderPaid, OrderShipped,
    OrderStatus, PaymentFailed,
};
use factline_core::Recorded;
use factline_testkit::{History, ViewSpec, recorded};
use projector_stats::{
    order_completed::{CompletedOrder, OrderCompleted},
    order_funnel::{FunnelOrder, OrderFunnel},
};
use serde_json::json;

use crate::queries::{Office, apply};

fn created(currency: &str) -> OrderEvent {
    let (customer_id, shipping_address) = ("c".to_owned(), "12 St James's Square".to_owned());
    OrderCreated { customer_id, shipping_address, currency: currency.to_owned() }.into()
}

fn added(quantity: i64, unit_price_cents: i64) -> OrderEvent {
    let (sku, name) = ("tea".to_owned(), "Tea".to_owned());
    OrderItemAdded { sku, name, quantity, unit_price_cents }.into()
}

fn removed(quantity: i64, unit_price_cents: i64) -> OrderEvent {
    OrderItemRemoved { sku: "tea".to_owned(), quantity, unit_price_cents }.into()
}

fn confirmed(total_cents: i64) -> OrderEvent {
    let (customer_id, currency) = ("c".to_owned(), "GBP".to_owned());
    OrderConfirmed { customer_id, lines: Vec::new(), total_cents, currency }.into()
}

fn allocated(total_cents: i64) -> OrderEvent {
    OrderAllocated { total_cents, currency: "GBP".to_owned() }.into()
}

fn paid(amount_cents: i64, method: &str) -> OrderEvent {
    let (payment_id, currency) = ("pay_1".to_owned(), "GBP".to_owned());
    OrderPaid { payment_id, amount_cents, currency, method: method.to_owned() }.into()
}

fn payment_failed() -> OrderEvent {
    PaymentFailed { payment_id: "pay_1".to_owned(), reason: "card declined".to_owned() }.into()
}

fn shipped() -> OrderEvent {
    let (tracking_number, carrier) = ("RM1".to_owned(), "Royal Mail".to_owned());
    OrderShipped { tracking_number, carrier, estimated_delivery_on: None }.into()
}

fn cancelled(refund_cents: i64) -> OrderEvent {
    let (reason, currency) = ("ordered twice".to_owned(), "GBP".to_owned());
    OrderCancelled { reason, cancelled_by: None, refund_cents, currency }.into()
}

fn corrected(delta_cents: i64, total_cents: i64) -> OrderEvent {
    OrderAmountCorrected {
        delta_cents,
        total_cents,
        currency: "GBP".to_owned(),
        reason: "voucher forgotten".to_owned(),
        corrects_event_id: "018f3c1e-7b1a-7000-8000-0000000000e1".to_owned(),
    }
    .into()
}

/// One order in each place but `confirmed`; one of the drafts is in euros.
fn a_weeks_orders() -> Vec<Recorded<OrderEvent>> {
    History::new()
        .then("draft", created("GBP"))
        .then("draft", added(3, 90))
        .then("draft", removed(3, 90))
        .then("euros", created("EUR"))
        .then("euros", added(1, 500))
        .then("pending", created("GBP"))
        .then("pending", confirmed(270))
        .then("pending", allocated(270))
        .then("pending", payment_failed())
        .then("paid", created("GBP"))
        .then("paid", confirmed(1_000))
        .then("paid", allocated(1_000))
        .at("2026-01-05T23:59:59Z")
        .then("paid", paid(1_000, "card"))
        .then("paid", corrected(-100, 900))
        .then("shipped", created("GBP"))
        .then("shipped", confirmed(40))
        .then("shipped", allocated(40))
        .at("2026-01-06T00:00:00Z")
        .then("shipped", paid(40, "bank"))
        .then("shipped", shipped())
        .then("delivered", created("GBP"))
        .then("delivered", confirmed(60))
        .then("delivered", allocated(60))
        .at("2026-01-06T23:59:59Z")
        .then("delivered", paid(60, "bank"))
        .then("delivered", shipped())
        .then("delivered", OrderDelivered {})
        .then("cancelled", created("GBP"))
        .then("cancelled", confirmed(7))
        .then("cancelled", cancelled(0))
        .build()
}

fn stands(order_id: &str, status: OrderStatus, total_cents: i64) -> (String, FunnelOrder) {
    let (order_id, currency) = (order_id.to_owned(), "GBP".to_owned());
    (order_id.clone(), FunnelOrder { order_id, status, currency, total_cents })
}

#[test]
fn an_order_stands_in_one_place_with_what_it_comes_to() {
    let (euros, mut in_euros) = stands("euros", OrderStatus::Draft, 500);
    in_euros.currency = "EUR".to_owned();
    ViewSpec::<OrderFunnel>::given(a_weeks_orders()).then_rows([
        stands("draft", OrderStatus::Draft, 0),
        (euros, in_euros),
        stands("pending", OrderStatus::Pending, 270),
        stands("paid", OrderStatus::Paid, 900),
        stands("shipped", OrderStatus::Shipped, 40),
        stands("delivered", OrderStatus::Delivered, 60),
        stands("cancelled", OrderStatus::Cancelled, 7),
    ]);
}

#[test]
fn an_event_of_an_order_that_was_never_created_is_impossible() {
    let history = recorded([("A", confirmed(270))]);
    ViewSpec::<OrderFunnel>::given(history).then_impossible("the order was never created");
    let history = recorded([("A", created("GBP")), ("A", created("GBP"))]);
    ViewSpec::<OrderFunnel>::given(history).then_impossible("the order was created before");
    let history = recorded([("A", created("GBP")), ("A", removed(1, 90))]);
    let less_than_nothing = "the order comes to less than nothing";
    ViewSpec::<OrderFunnel>::given(history).then_impossible(less_than_nothing);
}

#[test]
fn an_order_is_completed_once_when_it_is_paid_whatever_becomes_of_it() {
    let completed = |order_id: &str, paid_on: &str, method: &str, amount_cents| CompletedOrder {
        order_id: order_id.to_owned(),
        paid_on: paid_on.parse().unwrap(),
        method: method.to_owned(),
        currency: "GBP".to_owned(),
        amount_cents,
    };
    ViewSpec::<OrderCompleted>::given(a_weeks_orders()).then_rows([
        ("paid".to_owned(), completed("paid", "2026-01-05", "card", 1_000)),
        ("shipped".to_owned(), completed("shipped", "2026-01-06", "bank", 40)),
        ("delivered".to_owned(), completed("delivered", "2026-01-06", "bank", 60)),
    ]);
    let twice = recorded([("A", paid(10, "card")), ("A", paid(10, "card"))]);
    ViewSpec::<OrderCompleted>::given(twice).then_impossible("the order was paid before");
}

#[tokio::test]
async fn the_funnel_counts_orders_by_where_they_stand() {
    let office = Office::open("the_funnel", &[]).await;
    assert_eq!(office.get("/stats/orders").await, (200, json!({"items": []})));
    apply::<OrderFunnel>(&office.database, &a_weeks_orders()).await;
    let stage = |status, currency, total_cents| json!({"status": status, "currency": currency, "orders": 1, "total_cents": total_cents});
    let (_, funnel) = office.get("/stats/orders").await;
    assert_eq!(
        funnel["items"],
        json!([
            stage("draft", "EUR", 500),
            stage("draft", "GBP", 0),
            stage("pending", "GBP", 270),
            stage("paid", "GBP", 900),
            stage("shipped", "GBP", 40),
            stage("delivered", "GBP", 60),
            stage("cancelled", "GBP", 7),
        ])
    );
    let (status, problem) = office.get("/stats/orders?by=day").await;
    assert_eq!((status, &problem["code"]), (400, &"unknown_parameter".into()));
}

#[tokio::test]
async fn completed_orders_are_summed_up_by_day_and_method() {
    let office = Office::open("completed_orders", &[]).await;
    apply::<OrderCompleted>(&office.database, &a_weeks_orders()).await;
    let day = |day, method, orders, amount_cents| json!({"day": day, "method": method, "currency": "GBP", "orders": orders, "amount_cents": amount_cents});
    let (first, second) = (day("2026-01-05", "card", 1, 1_000), day("2026-01-06", "bank", 2, 100));
    let (_, all) = office.get("/stats/orders/completed").await;
    assert_eq!(all, json!({"items": [first, second]}));
    let (_, one) = office.get("/stats/orders/completed?from=2026-01-06").await;
    assert_eq!(one["items"], json!([second]));
    let (status, problem) = office.get("/stats/orders/completed?to=tomorrow").await;
    assert_eq!((status, &problem["code"]), (422, &"invalid_field".into()));
}
