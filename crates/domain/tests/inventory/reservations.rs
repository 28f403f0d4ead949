//! Promises: made, withdrawn, kept.

use serde_json::json;

use crate::words::*;

// reserve_stock, release_reservation, ship_reservation

#[test]
fn reserved_units_stay_on_hand_and_are_no_longer_available() {
    lantern()
        .when(reserve("r1", 4))
        .then_events([reserved("r1", 4)])
        .then_state(on_hand_and_available(10, 6));
}

#[test]
fn the_same_reservation_again_is_no_event_even_when_nothing_is_left_or_offered() {
    let all = || lantern().and([reserved("r1", 10)]);
    all().when(reserve("r1", 10)).then_nothing();
    all().and([discontinued(10)]).when(reserve("r1", 10)).then_nothing();
}

#[test]
fn a_reservation_with_another_quantity_is_refused() {
    lantern()
        .and([reserved("r1", 4)])
        .when(reserve("r1", 5))
        .then_refused("reservation_conflict")
        .with(json!({"reserved": 4, "requested": 5}));
}

#[test]
fn units_are_promised_once() {
    lantern()
        .and([reserved("r1", 8)])
        .when(reserve("r2", 3))
        .then_refused("insufficient_stock")
        .with(json!({"available": 2, "requested": 3}));
}

#[test]
fn a_discontinued_item_takes_no_new_reservation() {
    lantern().and([discontinued(10)]).when(reserve("r1", 1)).then_refused("item_discontinued");
}

#[test]
fn an_unknown_item_is_not_reserved() {
    nothing_known().when(reserve("r1", 1)).then_refused("unknown_item");
}

#[test]
fn released_units_are_available_again() {
    lantern()
        .and([reserved("r1", 4), reserved("r2", 1)])
        .when(release("r1"))
        .then_events([released("r1", 4)])
        .then_state(on_hand_and_available(10, 9));
}

#[test]
fn releasing_what_is_not_reserved_is_no_event() {
    lantern().when(release("r1")).then_nothing();
    nothing_known().when(release("r1")).then_nothing();
    lantern().and([reserved("r1", 4), released("r1", 4)]).when(release("r1")).then_nothing();
    lantern().and([reserved("r1", 4), shipped("r1", 4)]).when(release("r1")).then_nothing();
}

#[test]
fn shipped_units_leave_the_warehouse_and_what_is_available_stays() {
    lantern()
        .and([reserved("r1", 4)])
        .when(ship("r1"))
        .then_events([shipped("r1", 4)])
        .then_state(on_hand_and_available(6, 6));
}

#[test]
fn what_is_not_reserved_is_not_shipped() {
    lantern().when(ship("r1")).then_refused("unknown_reservation");
    let shipped_before = lantern().and([reserved("r1", 4), shipped("r1", 4)]);
    shipped_before.when(ship("r1")).then_refused("unknown_reservation");
    nothing_known().when(ship("r1")).then_refused("unknown_item");
}

#[test]
fn the_reservations_of_a_discontinued_item_are_still_shipped_and_released() {
    let ending = || lantern().and([reserved("r1", 4), discontinued(10)]);
    ending().when(ship("r1")).then_events([shipped("r1", 4)]);
    ending().when(release("r1")).then_events([released("r1", 4)]);
}

#[test]
fn a_reservation_id_that_was_released_can_be_used_again() {
    lantern()
        .and([reserved("r1", 4), released("r1", 4)])
        .when(reserve("r1", 5))
        .then_events([reserved("r1", 5)]);
}
