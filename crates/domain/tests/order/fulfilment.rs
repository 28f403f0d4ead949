//! From the reservation of the stock to the delivery.

use chrono::NaiveDate;
use domain::{
    order::{OrderPaid, OrderShipped, OrderStatus, PayOrder, PaymentMethod, ShipOrder},
    values::MAX_TOTAL,
};
use serde_json::json;

use crate::words::*;

#[test]
fn an_order_goes_from_draft_to_delivered_through_every_status() {
    nothing_known()
        .when(create())
        .then_events([created()])
        .then_state(status_and_total(OrderStatus::Draft, 0))
        .when(add("lantern", 2))
        .then_events([added("lantern", 2, 250)])
        .when(confirm())
        .then_events([confirmed(&[("lantern", 2, 250)])])
        .then_state(status_and_total(OrderStatus::Confirmed, 500))
        .when(allocate())
        .then_events([allocated(500)])
        .then_state(status_and_total(OrderStatus::Pending, 500))
        .when(pay(500))
        .then_events([paid(500)])
        .then_state(status_and_total(OrderStatus::Paid, 500))
        .when(ship())
        .then_events([shipped()])
        .then_state(status_and_total(OrderStatus::Shipped, 500))
        .when(deliver())
        .then_events([delivered()])
        .then_state(status_and_total(OrderStatus::Delivered, 500));
}

#[test]
fn an_order_is_paid_with_exactly_its_total_or_not_at_all() {
    for amount_cents in [0, 499, 501, MAX_TOTAL] {
        at(OrderStatus::Pending)
            .when(pay(amount_cents))
            .then_refused("amount_mismatch")
            .with(json!({"total_cents": 500, "amount_cents": amount_cents}));
    }
    at(OrderStatus::Pending).when(pay(500)).then_events([paid(500)]);
}

#[test]
fn an_order_of_free_items_is_paid_with_nothing() {
    draft()
        .and([added("sample", 1, 0), confirmed(&[("sample", 1, 0)]), allocated(0)])
        .when(pay(0))
        .then_events([paid(0)]);
}

#[test]
fn a_payment_says_how_it_was_made() {
    for (method, word) in [
        (PaymentMethod::Card, "card"),
        (PaymentMethod::Bank, "bank"),
        (PaymentMethod::Wallet, "wallet"),
    ] {
        let command = PayOrder {
            payment_id: "pay-7".try_into().unwrap(),
            amount_cents: 500.try_into().unwrap(),
            method,
        };
        let expected = OrderPaid {
            payment_id: "pay-7".to_owned(),
            amount_cents: 500,
            currency: "USD".to_owned(),
            method: word.to_owned(),
        };
        at(OrderStatus::Pending).when(informed(command)).then_events([expected.into()]);
    }
}

#[test]
fn a_payment_that_failed_leaves_the_order_waiting_for_another() {
    at(OrderStatus::Pending)
        .when(fail_payment())
        .then_events([payment_failed()])
        .then_state(status_and_total(OrderStatus::Pending, 500))
        .when(pay(500))
        .then_events([paid(500)]);
}

#[test]
fn a_shipment_says_who_carries_it_and_when_it_should_arrive() {
    let command = ShipOrder {
        tracking_number: "1Z999".try_into().unwrap(),
        carrier: "UPS".try_into().unwrap(),
        estimated_delivery_on: NaiveDate::from_ymd_opt(2026, 1, 31),
    };
    let expected = OrderShipped {
        tracking_number: "1Z999".to_owned(),
        carrier: "UPS".to_owned(),
        estimated_delivery_on: Some("2026-01-31".to_owned()),
    };
    at(OrderStatus::Paid).when(informed(command)).then_events([expected.into()]);
}
