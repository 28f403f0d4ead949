//! Creating, adding and confirming in one command.

use domain::order::{MAX_LINES, OrderStatus};
use serde_json::json;

use crate::words::*;

#[test]
fn an_order_is_placed_as_if_it_were_created_filled_and_confirmed() {
    nothing_known()
        .when(place(&[("lantern", 2), ("candle", 1)]))
        .then_events([
            created(),
            added("lantern", 2, 250),
            added("candle", 1, 99),
            confirmed(&[("candle", 1, 99), ("lantern", 2, 250)]),
        ])
        .then_state(status_and_total(OrderStatus::Confirmed, 599));
}

#[test]
fn an_item_that_is_named_twice_is_placed_with_both_quantities() {
    nothing_known()
        .when(place(&[("lantern", 2), ("lantern", 1)]))
        .then_events([
            created(),
            added("lantern", 2, 250),
            added("lantern", 1, 250),
            confirmed(&[("lantern", 3, 250)]),
        ])
        .then_state(lines(&[("lantern", 3, 250)]));
}

#[test]
fn one_item_that_cannot_be_had_leaves_the_whole_order_unplaced() {
    let place_with = |sku| nothing_known().when(place(&[("lantern", 1), (sku, 1)]));
    place_with("unicorn").then_refused("unknown_item").with(json!({"sku": "unicorn"}));
    place_with("gramophone").then_refused("item_discontinued").with(json!({"sku": "gramophone"}));
    place_with("tea")
        .then_refused("currency_mismatch")
        .with(json!({"sku": "tea", "order_currency": "USD", "item_currency": "GBP"}));
}

#[test]
fn an_amount_that_is_too_large_in_all_leaves_the_order_unplaced() {
    nothing_known().when(place(&[("pearl", 9_000), ("pearl", 8)])).then_refused("out_of_range");
}

#[test]
fn nobody_places_an_order_who_is_no_customer() {
    nothing_known().when(place_for(NOBODY, &[("lantern", 1)])).then_refused("unknown_customer");
}

#[test]
fn an_order_that_exists_is_not_placed_again() {
    draft().when(place(&[("lantern", 1)])).then_refused("order_exists");
    at(OrderStatus::Confirmed).when(place(&[("lantern", 1)])).then_refused("order_exists");
}

#[test]
fn an_order_is_placed_with_as_many_items_as_it_may_have_lines() {
    let items: Vec<_> = (0..MAX_LINES).map(|_| ("candle", 1)).collect();
    nothing_known().when(place(&items)).then_events(
        [
            vec![created()],
            vec![added("candle", 1, 99); MAX_LINES],
            vec![confirmed(&[("candle", i64::try_from(MAX_LINES).unwrap(), 99)])],
        ]
        .concat(),
    );
}

// What has to be asked first, and what follows from the answers.

#[test]
fn a_command_asks_for_what_its_decision_must_know_and_for_nothing_else() {
    let placing = place(&[("lantern", 2), ("candle", 1), ("lantern", 1)]).command.questions();
    assert!(placing.customers.into_iter().eq([customer(ADA)]));
    assert!(placing.skus.into_iter().eq([sku("candle"), sku("lantern")]));
    assert!(placing.events.is_empty());

    let creating = create().command.questions();
    assert!(creating.customers.into_iter().eq([customer(ADA)]));
    assert!(creating.skus.is_empty() && creating.events.is_empty());

    let adding = add("lantern", 1).command.questions();
    assert!(adding.skus.into_iter().eq([sku("lantern")]));
    assert!(adding.customers.is_empty() && adding.events.is_empty());

    let correcting = correct(1).command.questions();
    assert!(correcting.events.into_iter().eq([event(WRONG_EVENT)]));
    assert!(correcting.customers.is_empty() && correcting.skus.is_empty());

    for command in [
        remove("lantern"),
        confirm(),
        allocate(),
        pay(1),
        fail_payment(),
        ship(),
        deliver(),
        cancel(),
    ] {
        assert_eq!(command.command.questions(), Default::default(), "{command:?}");
    }
}

#[test]
fn the_price_is_the_one_that_the_catalogue_answered() {
    draft()
        .when(at_price(add("lantern", 2), "lantern", 199))
        .then_events([added("lantern", 2, 199)]);
}
