//! What follows from what, step by step.

use std::time::Duration;

use domain::fulfilment::{FulfilmentCommand, News};
use factline_core::saga::Outcome;

use crate::words::*;

#[test]
fn a_confirmed_order_has_each_of_its_lines_reserved_under_its_own_name() {
    given([])
        .when(confirmed(&[("lantern", 3), ("candle", 5)]))
        .then_steps(["reserve/candle", "reserve/lantern"])
        .then_command(FulfilmentCommand::ReserveStock {
            sku: "lantern".to_owned(),
            reservation_id: ORDER.to_owned(),
            quantity: 3,
        });
}

#[test]
fn an_order_is_allocated_when_its_last_line_is_reserved_and_not_before() {
    let lines = || confirmed(&[("candle", 1), ("lantern", 1)]);
    given([lines()]).when(Told::Accepted("reserve/candle")).then_steps([]);
    given([lines(), Told::Accepted("reserve/candle")])
        .when(Told::Accepted("reserve/lantern"))
        .then_steps(["allocate"]);
}

#[test]
fn of_a_line_that_is_refused_the_others_are_released_and_the_order_is_cancelled() {
    for code in ["insufficient_stock", "item_discontinued", "unknown_item"] {
        let lines = confirmed(&[("candle", 1), ("lantern", 1), ("tea", 1)]);
        given([lines.clone(), Told::Accepted("reserve/candle")])
            .when(Told::Refused("reserve/lantern", code))
            .then_steps(["release/candle", "cancel"])
            .then_command(FulfilmentCommand::CancelOrder {
                order_id: ORDER.to_owned(),
                reason: "insufficient_stock".to_owned(),
                at_version: None,
            });
        // The third was on its way: it is released when it has answered.
        given([lines, Told::Refused("reserve/lantern", code)])
            .when(Told::Accepted("reserve/tea"))
            .then_steps(["release/tea"]);
    }
}

#[test]
fn an_allocated_order_waits_so_long_for_its_payment_and_no_longer_once_it_is_paid() {
    given([confirmed(&[("tea", 1)]), Told::Accepted("reserve/tea")])
        .when(Told::News(News::Allocated))
        .then_timer(Some(Duration::from_secs(1_800)));
    pending().when(paid()).then_steps([]).then_timer(None).then_outcome(None);
}

#[test]
fn an_unpaid_order_is_cancelled_only_if_nothing_has_happened_to_it_meanwhile() {
    let cancel = |reason: &str, version| FulfilmentCommand::CancelOrder {
        order_id: ORDER.to_owned(),
        reason: reason.to_owned(),
        at_version: Some(version),
    };
    pending()
        .when(Told::TimeIsUp)
        .then_steps(["cancel/2"])
        .then_command(cancel("payment_timeout", 2));
    pending()
        .when(Told::News(News::PaymentFailed))
        .then_steps(["cancel/3"])
        .then_command(cancel("payment_failed", 3));
}

#[test]
fn a_shipped_order_ships_its_reservations_and_then_it_is_completed() {
    given([
        confirmed(&[("candle", 1), ("lantern", 1)]),
        Told::Accepted("reserve/candle"),
        Told::Accepted("reserve/lantern"),
        Told::News(News::Allocated),
        paid(),
    ])
    .when(Told::News(News::Shipped))
    .then_steps(["ship/candle", "ship/lantern"])
    .then_outcome(None);
    given([
        confirmed(&[("tea", 1)]),
        Told::Accepted("reserve/tea"),
        Told::News(News::Allocated),
        paid(),
        Told::News(News::Shipped),
    ])
    .when(Told::Accepted("ship/tea"))
    .then_outcome(Some(Outcome::Completed));
}

#[test]
fn a_cancelled_order_releases_what_it_holds_and_what_was_paid_goes_back() {
    pending().when(cancelled(0)).then_steps(["release/candle", "release/lantern"]).then_timer(None);
    let lines = [
        confirmed(&[("tea", 1)]),
        Told::Accepted("reserve/tea"),
        Told::News(News::Allocated),
        paid(),
    ];
    given(lines)
        .when(cancelled(700))
        .then_steps(["release/tea", "refund"])
        .then_command(FulfilmentCommand::RefundPayment {
            order_id: ORDER.to_owned(),
            payment_id: Some("pay-1".to_owned()),
            amount_cents: 700,
            currency: "GBP".to_owned(),
        })
        .then_outcome(None);
}

#[test]
fn a_fulfilment_has_ended_when_the_last_release_and_the_refund_are_done() {
    let steps = || {
        [
            confirmed(&[("tea", 1)]),
            Told::Accepted("reserve/tea"),
            Told::News(News::Allocated),
            paid(),
            cancelled(700),
        ]
    };
    given(steps()).when(Told::Accepted("refund")).then_outcome(None);
    let [a, b, c, d, e] = steps();
    given([a, b, c, d, e, Told::Accepted("refund")])
        .when(Told::Accepted("release/tea"))
        .then_outcome(Some(Outcome::Compensated));
}

#[test]
fn a_refusal_that_the_table_does_not_know_has_no_answer() {
    let lines = || confirmed(&[("tea", 1)]);
    given([lines()]).when(Told::Refused("reserve/tea", "reservation_conflict")).then_unanswered();
    given([lines()]).when(Told::Refused("reserve/tea", "invalid_fields")).then_unanswered();
    given([lines()]).when(Told::Accepted("polish/tea")).then_unanswered();
    pending().when(Told::Refused("release/candle", "anything")).then_unanswered();
}

#[test]
fn goods_that_left_without_a_reservation_need_a_person() {
    given([
        confirmed(&[("tea", 1)]),
        Told::Refused("reserve/tea", "insufficient_stock"),
        Told::News(News::Allocated), // by hand
        paid(),
    ])
    .when(Told::News(News::Shipped))
    .then_unanswered();
}

#[test]
fn an_operator_may_have_everything_undone_and_then_every_refusal_has_an_answer() {
    pending().when(Told::Compensate).then_steps(["release/candle", "release/lantern", "cancel"]);
    given([confirmed(&[("tea", 1)]), Told::Compensate])
        .when(Told::Refused("reserve/tea", "reservation_conflict"))
        .then_steps([]);
    given([
        confirmed(&[("tea", 1)]),
        Told::Compensate,
        Told::Refused("reserve/tea", "reservation_conflict"),
    ])
    .when(cancelled(0))
    .then_outcome(Some(Outcome::Compensated));
    given([
        confirmed(&[("tea", 1)]),
        Told::Accepted("reserve/tea"),
        Told::News(News::Allocated),
        paid(),
        Told::News(News::Shipped),
        Told::Compensate,
    ])
    .when(Told::Refused("ship/tea", "unknown_reservation"))
    .then_outcome(Some(Outcome::Compensated));
}
