//! Giving an order up.

use domain::order::{OrderCancelled, OrderStatus};
use serde_json::json;

use crate::words::*;

#[test]
fn an_order_that_was_not_paid_is_cancelled_without_a_refund() {
    for status in [OrderStatus::Draft, OrderStatus::Confirmed, OrderStatus::Pending] {
        at(status)
            .when(cancel())
            .then_events([cancelled(0)])
            .then_state(status_and_total(OrderStatus::Cancelled, 500));
    }
    draft().when(cancel()).then_events([cancelled(0)]);
}

#[test]
fn an_order_that_was_paid_is_cancelled_with_a_refund_of_its_total() {
    at(OrderStatus::Paid).when(cancel()).then_events([cancelled(500)]);
    at(OrderStatus::Paid).and([corrected(-30, 470)]).when(cancel()).then_events([cancelled(470)]);
}

#[test]
fn an_order_is_not_cancelled_once_it_is_shipped_or_cancelled() {
    for status in [OrderStatus::Shipped, OrderStatus::Delivered, OrderStatus::Cancelled] {
        at(status)
            .when(cancel())
            .then_refused("not_cancellable")
            .with(json!({"order_status": status.as_str()}));
    }
}

#[test]
fn a_cancellation_says_who_made_it_where_that_is_known() {
    let mut command = cancel();
    command.facts.actor = Some("ada".to_owned());
    let expected = OrderCancelled {
        reason: "ordered twice".to_owned(),
        cancelled_by: Some("ada".to_owned()),
        refund_cents: 0,
        currency: "USD".to_owned(),
    };
    at(OrderStatus::Draft).when(command).then_events([expected.into()]);
}

#[test]
fn an_unknown_order_is_not_cancelled() {
    nothing_known().when(cancel()).then_refused("unknown_order");
}
