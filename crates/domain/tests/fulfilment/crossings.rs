//! Every order in which an order's events, the answers to commands, the timer, and what customer and
//! warehouse do can cross: no stock stays reserved, no money is lost, and nothing is left to a person.

use factline_core::saga::Outcome;

use crate::world::{
    Deed::{self, Allocate, Cancel, Correct, FailPayment, Pay, Ship},
    World, every_end,
};

/// Item, units there, units ordered.
type Stock = &'static [(&'static str, i64, i64)];

const ENOUGH: Stock = &[("candle", 5, 2), ("lantern", 3, 3)];
const ONE_SHORT: Stock = &[("candle", 5, 2), ("lantern", 2, 3)];
const BOTH_SHORT: Stock = &[("candle", 1, 2), ("lantern", 2, 3)];

const CROSSINGS: [(&str, Stock, &[Deed]); 17] = [
    ("nobody does anything", ENOUGH, &[]),
    ("one line is short", ONE_SHORT, &[]),
    ("both lines are short", BOTH_SHORT, &[]),
    ("the customer cancels", ENOUGH, &[Cancel]),
    ("the customer cancels what is short", ONE_SHORT, &[Cancel]),
    ("the customer pays", ENOUGH, &[Pay]),
    ("the payment fails", ENOUGH, &[FailPayment]),
    ("the payment fails and another succeeds", ENOUGH, &[FailPayment, Pay]),
    ("the payment fails and the customer cancels", ENOUGH, &[FailPayment, Cancel]),
    ("the amount is corrected after a failed payment", ENOUGH, &[FailPayment, Correct, Pay]),
    ("the amount is corrected", ENOUGH, &[Correct]),
    ("paid and cancelled", ENOUGH, &[Pay, Cancel]),
    ("paid and shipped", ENOUGH, &[Pay, Ship]),
    ("paid, shipped, and too late to cancel", ENOUGH, &[Pay, Ship, Cancel]),
    ("allocated by hand and paid", ENOUGH, &[Allocate, Pay]),
    (
        "allocated by hand, paid and cancelled, and one line is short",
        ONE_SHORT,
        &[Allocate, Pay, Cancel],
    ),
    ("allocated by hand, paid and shipped", ENOUGH, &[Allocate, Pay, Ship]),
];

#[test]
fn whatever_crosses_no_stock_stays_reserved_no_money_is_lost_and_nobody_is_needed() {
    for (what, stock, deeds) in CROSSINGS {
        let (worlds, ends) = every_end(World::new(stock, deeds));
        assert!(worlds > 10 && !ends.is_empty(), "{what}: {worlds} worlds");
        for end in &ends {
            check(what, stock, end);
        }
    }
}

fn check(what: &str, stock: Stock, end: &World) {
    assert_eq!(end.unanswered, None, "{what}: {end:#?}");
    let expected = match end.order_status() {
        "shipped" => Some(Outcome::Completed),
        "cancelled" => Some(Outcome::Compensated),
        "paid" => None,
        other => panic!("{what}: the order ends {other}: {end:#?}"),
    };
    assert_eq!(end.outcome, expected, "{what}: {end:#?}");
    assert_eq!(end.is_patient(), expected.is_none(), "{what}: {end:#?}");
    for (sku, there, ordered) in stock {
        let item = end.items[sku].known().unwrap();
        let (on_hand, reserved) = match expected {
            Some(Outcome::Completed) => (there - ordered, 0),
            Some(Outcome::Compensated) => (*there, 0),
            None => (*there, *ordered),
        };
        assert_eq!((item.on_hand, item.reserved), (on_hand, reserved), "{what}: {end:#?}");
    }
    assert_eq!(end.refunds, end.refunds_due(), "{what}: {end:#?}");
}

#[test]
fn a_payment_that_came_before_the_time_was_over_is_never_cancelled() {
    let (_, ends) = every_end(World::new(ENOUGH, &[Pay]));
    let mut statuses: Vec<_> = ends.iter().map(World::order_status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    assert_eq!(statuses, ["cancelled", "paid"], "the timer may win, and so may the payment");
    let paid = |end: &&World| end.was_paid();
    assert!(ends.iter().filter(paid).all(|end| end.order_status() == "paid"));
}

#[test]
fn goods_that_left_without_stock_need_a_person_and_nothing_else_does() {
    let (_, ends) = every_end(World::new(ONE_SHORT, &[Allocate, Pay, Ship]));
    assert!(ends.iter().any(|end| end.order_status() == "shipped"));
    for end in &ends {
        assert_eq!(end.unanswered.is_some(), end.order_status() == "shipped", "{end:#?}");
    }
}
