//! The views `order_list` and `customer_list`, proved on histories that are told.

use chrono::{DateTime, Utc};
use domain::{
    customer::CustomerEvent,
    order::{OrderEvent, OrderStatus},
};
use factline_core::{DomainEvent, Fold};
use factline_testkit::{History, ViewSpec, recorded};
use projector_list::{
    customer_list::{CustomerList, CustomerRow},
    order_list::{OrderItem, OrderList, OrderRow},
};

use crate::words::*;

/// The history tells a second an event from 09:00:01.
fn second(second: i64) -> DateTime<Utc> {
    let start: DateTime<Utc> = "2026-01-05T09:00:00Z".parse().unwrap();
    start + chrono::Duration::seconds(second)
}

fn item(sku: &str, quantity: i64, unit_price_cents: i64) -> OrderItem {
    let (sku, name) = (sku.to_owned(), format!("The {sku}"));
    OrderItem { sku, name, quantity, unit_price_cents, total_cents: quantity * unit_price_cents }
}

/// A draft of Ada's that was begun with the history's first event.
fn draft(id: &str, items: Vec<OrderItem>, version: i64) -> OrderRow {
    OrderRow {
        id: id.to_owned(),
        customer_id: ADA.to_owned(),
        status: OrderStatus::Draft,
        currency: "GBP".to_owned(),
        total_cents: items.iter().map(|item| item.total_cents).sum(),
        items,
        shipping_address: "12 St James's Square, London".to_owned(),
        created_at: second(1),
        confirmed_at: None,
        allocated_at: None,
        paid_at: None,
        payment_id: None,
        payment_method: None,
        payment_failed_reason: None,
        shipped_at: None,
        tracking_number: None,
        carrier: None,
        estimated_delivery_on: None,
        delivered_at: None,
        cancelled_at: None,
        cancel_reason: None,
        cancelled_by: None,
        refund_cents: None,
        last_updated_at: second(version),
        version,
    }
}

#[test]
fn an_orders_whole_life_ends_in_one_row() {
    let history = recorded([
        ("A", created_for(ADA)),
        ("A", added("lantern", 2, 255)),
        ("A", added("tea", 1, 90)),
        ("A", confirmed(ADA, 600)),
        ("A", allocated(600)),
        ("A", payment_failed()),
        ("A", paid(600)),
        ("A", shipped()),
        ("A", delivered()),
    ]);
    let expected = OrderRow {
        status: OrderStatus::Delivered,
        confirmed_at: Some(second(4)),
        allocated_at: Some(second(5)),
        paid_at: Some(second(7)),
        payment_id: Some("pay_2".to_owned()),
        payment_method: Some("card".to_owned()),
        shipped_at: Some(second(8)),
        tracking_number: Some("RM123456785GB".to_owned()),
        carrier: Some("Royal Mail".to_owned()),
        estimated_delivery_on: Some("2026-01-31".to_owned()),
        delivered_at: Some(second(9)),
        ..draft("A", vec![item("lantern", 2, 255), item("tea", 1, 90)], 9)
    };
    ViewSpec::<OrderList>::given(history).then_rows([("A".to_owned(), expected)]);
}

#[test]
fn items_come_and_go_and_units_of_one_item_are_one_line() {
    let history = recorded([
        ("A", created_for(ADA)),
        ("A", added("lantern", 2, 255)),
        ("A", added("tea", 1, 90)),
        ("A", added("lantern", 3, 255)),
        ("A", removed("tea", 1, 90)),
        ("A", corrected(-75, 1_200)),
    ]);
    let expected = OrderRow { total_cents: 1_200, ..draft("A", vec![item("lantern", 5, 255)], 6) };
    ViewSpec::<OrderList>::given(history).then_rows([("A".to_owned(), expected)]);
}

#[test]
fn a_failed_payment_and_a_cancellation_show_their_reasons() {
    let history = recorded([
        ("A", created_for(ADA)),
        ("A", added("tea", 1, 90)),
        ("A", confirmed(ADA, 90)),
        ("A", allocated(90)),
        ("A", payment_failed()),
        ("A", cancelled(0)),
    ]);
    let expected = OrderRow {
        status: OrderStatus::Cancelled,
        confirmed_at: Some(second(3)),
        allocated_at: Some(second(4)),
        payment_id: Some("pay_1".to_owned()),
        payment_failed_reason: Some("card declined".to_owned()),
        cancelled_at: Some(second(6)),
        cancel_reason: Some("ordered twice".to_owned()),
        cancelled_by: Some("ada".to_owned()),
        refund_cents: Some(0),
        ..draft("A", vec![item("tea", 1, 90)], 6)
    };
    ViewSpec::<OrderList>::given(history).then_rows([("A".to_owned(), expected)]);
}

#[test]
fn times_are_those_at_which_things_happened_not_those_of_their_recording() {
    let history = History::new().at("2010-12-01T08:26:00Z").then("A", created_for(ADA)).build();
    let created_at = "2010-12-01T08:26:00Z".parse().unwrap();
    let expected = OrderRow { created_at, ..draft("A", Vec::new(), 1) };
    ViewSpec::<OrderList>::given(history).then_rows([("A".to_owned(), expected)]);
}

#[test]
fn an_orders_history_that_cannot_be_parks_its_stream_alone() {
    let never = recorded([("A", created_for(ADA)), ("B", delivered())]);
    ViewSpec::<OrderList>::given(never).then_impossible("the order was never created");
    let twice = recorded([("A", created_for(ADA)), ("A", created_for(ADA))]);
    ViewSpec::<OrderList>::given(twice).then_impossible("the order was created before");
    let less = recorded([("A", created_for(ADA)), ("A", removed("tea", 1, 90))]);
    ViewSpec::<OrderList>::given(less).then_impossible("the order comes to less than nothing");
}

#[test]
fn a_customer_is_shown_as_told_last() {
    let history = recorded([
        ("A", registered("Ada Lovelace", "ada@example.com")),
        ("B", registered("Bob", "bob@example.com")),
        ("A", renamed("Ada King")),
        ("A", email_changed("king@example.com")),
    ]);
    let row =
        |id: &str, name: &str, email: &str, registered: i64, last: i64, version| CustomerRow {
            id: id.to_owned(),
            name: name.to_owned(),
            email: email.to_owned(),
            registered_at: second(registered),
            last_updated_at: second(last),
            version,
        };
    ViewSpec::<CustomerList>::given(history).then_rows([
        ("A".to_owned(), row("A", "Ada King", "king@example.com", 1, 4, 3)),
        ("B".to_owned(), row("B", "Bob", "bob@example.com", 2, 2, 1)),
    ]);
}

#[test]
fn a_customers_history_that_cannot_be_parks_its_stream_alone() {
    let never = recorded([("A", registered("Ada", "a@b")), ("B", renamed("Bob"))]);
    ViewSpec::<CustomerList>::given(never).then_impossible("the customer was never registered");
    let twice = recorded([("A", registered("Ada", "a@b")), ("A", registered("Ada", "a@b"))]);
    ViewSpec::<CustomerList>::given(twice).then_impossible("the customer was registered before");
}

#[test]
fn every_event_of_orders_and_of_customers_is_one_that_its_view_takes() {
    for sample in OrderEvent::samples() {
        assert_eq!(OrderList::key(&recorded([("A", sample)])[0]).as_deref(), Some("A"));
    }
    for sample in CustomerEvent::samples() {
        assert_eq!(CustomerList::key(&recorded([("A", sample)])[0]).as_deref(), Some("A"));
    }
}
