//! Amounts that were wrong: a correction is a new event, and history stays as it is.

use domain::{order::OrderStatus, values::MAX_TOTAL};
use serde_json::json;

use crate::words::*;

#[test]
fn an_amount_is_corrected_either_way_wherever_the_order_stands() {
    for status in EVERY_STATUS {
        at(status)
            .when(correct(-30))
            .then_events([corrected(-30, 470)])
            .when(correct(5))
            .then_events([corrected(5, 475)])
            .then_state(status_and_total(status, 475))
            .then_state(lines(&[("lantern", 2, 250)]));
    }
}

#[test]
fn a_correction_names_an_event_of_this_order() {
    at(OrderStatus::Paid)
        .when(correct_event(FOREIGN_EVENT, -30))
        .then_refused("unknown_event")
        .with(json!({"event_id": FOREIGN_EVENT}));
    at(OrderStatus::Paid).when(correct_event(FOREIGN_EVENT, 0)).then_refused("unknown_event");
}

#[test]
fn an_amount_is_corrected_down_to_nothing_and_no_further() {
    at(OrderStatus::Confirmed).when(correct(-500)).then_events([corrected(-500, 0)]);
    at(OrderStatus::Confirmed)
        .when(correct(-501))
        .then_refused("negative_total")
        .with(json!({"resulting_cents": -1}));
}

#[test]
fn a_correction_by_nothing_is_no_event() {
    at(OrderStatus::Confirmed).when(correct(0)).then_nothing();
}

#[test]
fn a_correction_that_no_reader_of_json_could_count_is_refused() {
    at(OrderStatus::Confirmed)
        .when(correct(MAX_TOTAL))
        .then_refused("out_of_range")
        .with(json!({"limit": MAX_TOTAL}));
}

#[test]
fn what_is_due_is_the_corrected_total() {
    at(OrderStatus::Pending)
        .and([corrected(-30, 470)])
        .when(pay(500))
        .then_refused("amount_mismatch")
        .with(json!({"total_cents": 470, "amount_cents": 500}));
    at(OrderStatus::Pending).and([corrected(-30, 470)]).when(pay(470)).then_events([paid(470)]);
}

#[test]
fn a_draft_is_confirmed_and_allocated_at_its_corrected_total() {
    at(OrderStatus::Draft)
        .and([corrected(-30, 470)])
        .when(confirm())
        .then_events([confirmed_at(&[("lantern", 2, 250)], 470)])
        .when(allocate())
        .then_events([allocated(470)]);
}

#[test]
fn an_unknown_order_is_not_corrected() {
    nothing_known().when(correct(1)).then_refused("unknown_order");
}
