//! Units that come in, come back or are counted anew.

use domain::{
    inventory::{Item, ReturnItem},
    values::MAX_TOTAL,
};
use factline_testkit::Given;
use serde_json::json;

use crate::words::*;

// receive_stock

#[test]
fn received_units_are_available() {
    lantern()
        .when(receive(5))
        .then_events([received(5, None)])
        .then_state(on_hand_and_available(15, 15));
}

#[test]
fn a_receipt_at_another_price_changes_the_price() {
    lantern()
        .when(receive_at(5, 300))
        .then_events([received(5, Some(300))])
        .when(sell(1))
        .then_events([sold(1, 300)]);
}

#[test]
fn a_receipt_at_the_same_price_does_not_speak_of_it() {
    lantern().when(receive_at(5, 250)).then_events([received(5, None)]);
}

#[test]
fn an_unknown_item_receives_nothing() {
    nothing_known().when(receive(1)).then_refused("unknown_item");
}

#[test]
fn a_discontinued_item_receives_nothing() {
    lantern().and([discontinued(10)]).when(receive(1)).then_refused("item_discontinued");
}

#[test]
fn a_receipt_that_no_reader_of_json_could_count_is_refused() {
    Given::<Item>::events([added(MAX_TOTAL - 1, 1)])
        .when(receive(2))
        .then_refused("out_of_range")
        .with(json!({"limit": MAX_TOTAL}));
}

// return_item

#[test]
fn returned_units_are_available_and_refunded_at_the_items_price() {
    lantern()
        .and([sold(4, 199)])
        .when(give_back(2))
        .then_events([returned(2, 500)])
        .then_state(on_hand_and_available(8, 8));
}

#[test]
fn returned_units_are_refunded_at_the_price_that_the_return_gives() {
    let command = ReturnItem { unit_price_cents: Some(199.try_into().unwrap()), ..give_back(2) };
    lantern().when(command).then_events([returned(2, 398)]);
}

#[test]
fn units_that_were_free_come_back_without_a_refund() {
    let command = ReturnItem { unit_price_cents: Some(0.try_into().unwrap()), ..give_back(2) };
    lantern().when(command).then_events([returned(2, 0)]);
}

#[test]
fn a_discontinued_item_still_comes_back() {
    lantern().and([discontinued(10)]).when(give_back(1)).then_events([returned(1, 250)]);
}

#[test]
fn an_unknown_item_does_not_come_back() {
    nothing_known().when(give_back(1)).then_refused("unknown_item");
}

#[test]
fn a_return_that_no_reader_of_json_could_count_is_refused() {
    let full = || Given::<Item>::events([added(MAX_TOTAL, 1)]);
    full().when(give_back(1)).then_refused("out_of_range");
    Given::<Item>::events([added(1, 1_000_000_000_000)])
        .when(give_back(1_000_000_000))
        .then_refused("out_of_range");
}

// adjust_stock

#[test]
fn a_correction_moves_the_units_on_hand_either_way() {
    lantern()
        .when(adjust(-3))
        .then_events([adjusted(-3)])
        .when(adjust(1))
        .then_events([adjusted(1)])
        .then_state(on_hand_and_available(8, 8));
}

#[test]
fn a_correction_by_nothing_is_no_event() {
    lantern().when(adjust(0)).then_nothing();
}

#[test]
fn a_correction_may_take_everything_that_is_not_reserved_and_no_more() {
    let promised = || lantern().and([reserved("r1", 4)]);
    promised().when(adjust(-6)).then_events([adjusted(-6)]);
    promised()
        .when(adjust(-7))
        .then_refused("below_reserved")
        .with(json!({"reserved": 4, "resulting": 3}));
    lantern()
        .when(adjust(-11))
        .then_refused("below_reserved")
        .with(json!({"reserved": 0, "resulting": -1}));
}

#[test]
fn a_discontinued_item_is_still_corrected() {
    lantern().and([discontinued(10)]).when(adjust(-10)).then_events([adjusted(-10)]);
}

#[test]
fn an_unknown_item_is_not_corrected() {
    nothing_known().when(adjust(1)).then_refused("unknown_item");
}

#[test]
fn a_correction_that_no_reader_of_json_could_count_is_refused() {
    Given::<Item>::events([added(MAX_TOTAL, 1)]).when(adjust(1)).then_refused("out_of_range");
}
