//! Sales.

use domain::inventory::{Item, ItemAdded, ItemSold, SellItem};
use factline_testkit::{Given, Outcome};
use serde_json::json;

use crate::words::*;

#[test]
fn a_sale_without_a_price_is_made_at_the_items_price() {
    lantern().when(sell(4)).then_events([sold(4, 250)]).then_state(on_hand_and_available(6, 6));
}

#[test]
fn a_sale_with_a_price_is_made_at_that_price_and_leaves_the_items_own() {
    lantern()
        .when(sell_at(4, 199))
        .then_events([sold(4, 199)])
        .when(sell(1))
        .then_events([sold(1, 250)]);
}

#[test]
fn a_sale_carries_the_buyers_country_and_the_items_currency() {
    let gbp = ItemAdded {
        name: "Lantern".to_owned(),
        quantity: 10,
        unit_price_cents: 250,
        reorder_point: 5,
        currency: "GBP".to_owned(),
    };
    let expected = ItemSold {
        quantity: 2,
        unit_price_cents: 250,
        revenue_cents: 500,
        currency: "GBP".to_owned(),
        country: Some("EIRE".to_owned()),
    };
    let command = SellItem { country: Some("EIRE".try_into().unwrap()), ..sell(2) };
    Given::<Item>::events([gbp.into()]).when(command).then_events([expected.into()]);
}

#[test]
fn the_last_unit_is_sold_once() {
    lantern()
        .when(sell(10))
        .then_events([sold(10, 250)])
        .when(sell(1))
        .then_refused("insufficient_stock")
        .with(json!({"available": 0, "requested": 1}));
}

#[test]
fn reserved_units_are_not_sold() {
    lantern()
        .and([reserved("r1", 8)])
        .when(sell(3))
        .then_refused("insufficient_stock")
        .with(json!({"available": 2, "requested": 3}));
}

#[test]
fn an_unknown_item_is_not_sold() {
    nothing_known().when(sell(1)).then_refused("unknown_item");
}

#[test]
fn a_discontinued_item_is_not_sold() {
    lantern().and([discontinued(10)]).when(sell(1)).then_refused("item_discontinued");
}

#[test]
fn nothing_is_sold_for_nothing() {
    let refused = |outcome: Outcome<Item>| {
        outcome.then_refused("invalid_price").with(json!({"unit_price_cents": 0}));
    };
    refused(lantern().when(sell_at(1, 0)));
    refused(Given::events([added(10, 0)]).when(sell(1)));
}

#[test]
fn an_item_without_a_price_is_sold_at_the_price_that_the_sale_gives() {
    Given::<Item>::events([added(10, 0)]).when(sell_at(1, 99)).then_events([sold(1, 99)]);
}

#[test]
fn a_sale_whose_revenue_no_reader_of_json_could_count_is_refused() {
    Given::<Item>::events([added(1_000_000_000, 1)])
        .when(sell_at(1_000_000_000, 1_000_000_000_000))
        .then_refused("out_of_range");
    Given::<Item>::events([added(10_000, 1)])
        .when(sell_at(9_008, 1_000_000_000_000))
        .then_refused("out_of_range");
}
