//! Drafts: created, filled, emptied, confirmed.

use domain::{
    order::{MAX_LINES, OrderCreated, OrderStatus},
    values::{MAX_TOTAL, MAX_UNITS},
};
use factline_testkit::Given;
use serde_json::json;

use crate::words::*;

// create_order

#[test]
fn an_order_begins_as_an_empty_draft_in_us_dollars() {
    nothing_known()
        .when(create())
        .then_events([created()])
        .then_state(status_and_total(OrderStatus::Draft, 0))
        .then_state(lines(&[]));
}

#[test]
fn an_order_is_created_in_the_currency_that_was_given() {
    let expected = OrderCreated {
        customer_id: ADA.to_owned(),
        shipping_address: ADDRESS.to_owned(),
        currency: "GBP".to_owned(),
    };
    nothing_known().when(create_for(ADA, Some("GBP"))).then_events([expected.into()]);
}

#[test]
fn an_order_that_exists_is_not_created_again_not_even_when_it_is_cancelled() {
    draft().when(create()).then_refused("order_exists");
    at(OrderStatus::Cancelled).when(create()).then_refused("order_exists");
}

#[test]
fn nobody_orders_who_is_no_customer() {
    nothing_known()
        .when(create_for(NOBODY, None))
        .then_refused("unknown_customer")
        .with(json!({"customer_id": NOBODY}));
}

// add_order_item

#[test]
fn an_item_is_added_with_the_catalogues_name_and_price() {
    draft()
        .when(add("lantern", 2))
        .then_events([added("lantern", 2, 250)])
        .then_state(status_and_total(OrderStatus::Draft, 500));
}

#[test]
fn the_total_is_the_sum_of_price_times_quantity() {
    draft()
        .when(add("lantern", 2))
        .then_events([added("lantern", 2, 250)])
        .when(add("candle", 3))
        .then_events([added("candle", 3, 99)])
        .then_state(status_and_total(OrderStatus::Draft, 797));
}

#[test]
fn an_item_that_is_added_twice_is_one_line_with_both_quantities() {
    draft()
        .when(add("lantern", 2))
        .then_events([added("lantern", 2, 250)])
        .when(add("lantern", 3))
        .then_events([added("lantern", 3, 250)])
        .then_state(lines(&[("lantern", 5, 250)]))
        .then_state(status_and_total(OrderStatus::Draft, 1_250));
}

#[test]
fn a_line_has_one_price_so_units_at_another_are_added_after_the_line_was_taken_off() {
    let dearer = || at_price(add("lantern", 1), "lantern", 275);
    at(OrderStatus::Draft)
        .when(dearer())
        .then_refused("price_changed")
        .with(json!({"sku": "lantern", "unit_price_cents": 250, "now_cents": 275}));
    at(OrderStatus::Draft)
        .when(remove("lantern"))
        .then_events([removed("lantern", 2, 250)])
        .when(dearer())
        .then_events([added("lantern", 1, 275)]);
}

#[test]
fn an_item_without_a_price_is_free() {
    draft()
        .when(add("sample", 1))
        .then_events([added("sample", 1, 0)])
        .then_state(status_and_total(OrderStatus::Draft, 0));
}

#[test]
fn an_item_that_the_catalogue_does_not_know_is_not_added() {
    draft().when(add("unicorn", 1)).then_refused("unknown_item").with(json!({"sku": "unicorn"}));
}

#[test]
fn a_discontinued_item_is_not_added() {
    draft()
        .when(add("gramophone", 1))
        .then_refused("item_discontinued")
        .with(json!({"sku": "gramophone"}));
}

#[test]
fn an_item_that_is_sold_in_another_currency_is_not_added() {
    draft()
        .when(add("tea", 1))
        .then_refused("currency_mismatch")
        .with(json!({"sku": "tea", "order_currency": "USD", "item_currency": "GBP"}));
    nothing_known()
        .when(create_for(ADA, Some("GBP")))
        .then_events([OrderCreated {
            customer_id: ADA.to_owned(),
            shipping_address: ADDRESS.to_owned(),
            currency: "GBP".to_owned(),
        }
        .into()])
        .when(add("tea", 1))
        .then_events([added("tea", 1, 300)]);
}

#[test]
fn a_line_has_at_most_the_units_that_can_be_reserved_at_once() {
    draft()
        .and([added("lantern", MAX_UNITS - 1, 250)])
        .when(add("lantern", 2))
        .then_refused("out_of_range")
        .with(json!({"limit": MAX_UNITS}));
}

#[test]
fn an_amount_that_no_reader_of_json_could_count_is_refused() {
    let refused = |given: Given<_>, sku: &str, quantity: i64| {
        given
            .when(add(sku, quantity))
            .then_refused("out_of_range")
            .with(json!({"limit": MAX_TOTAL}));
    };
    refused(draft(), "pearl", 1_000_000_000); // fits no i64
    refused(draft(), "pearl", 9_008); // fits no double
    refused(draft().and([added("pearl", 9_007, 1_000_000_000_000)]), "lantern", 1_000_000_000);
    // Corrections do not make room for more.
    let corrected = draft().and([added("pearl", 9_000, 1_000_000_000_000), corrected(-1_000, 0)]);
    refused(corrected, "pearl", 8);
}

#[test]
fn an_order_has_a_limited_number_of_lines_and_those_that_are_there_still_grow() {
    let full = || {
        let skus = (0..MAX_LINES - 1).map(|index| added(&format!("sku-{index}"), 1, 1));
        draft().and(skus.collect::<Vec<_>>()).and([added("lantern", 1, 250)])
    };
    full().when(add("candle", 1)).then_refused("out_of_range").with(json!({"limit": MAX_LINES}));
    full().when(add("lantern", 1)).then_events([added("lantern", 1, 250)]);
}

// remove_order_item

#[test]
fn a_removed_item_leaves_with_all_its_units() {
    draft()
        .and([added("lantern", 2, 250), added("candle", 3, 99), added("lantern", 1, 250)])
        .when(remove("lantern"))
        .then_events([removed("lantern", 3, 250)])
        .then_state(lines(&[("candle", 3, 99)]))
        .then_state(status_and_total(OrderStatus::Draft, 297));
}

#[test]
fn what_is_not_on_the_order_is_not_removed() {
    let refused = || json!({"sku": "candle"});
    draft().when(remove("candle")).then_refused("item_not_on_order").with(refused());
    draft()
        .and([added("candle", 1, 99), removed("candle", 1, 99)])
        .when(remove("candle"))
        .then_refused("item_not_on_order")
        .with(refused());
}

#[test]
fn an_item_is_not_removed_when_corrections_would_leave_less_than_nothing() {
    at(OrderStatus::Draft)
        .and([corrected(-100, 400)])
        .when(remove("lantern"))
        .then_refused("negative_total")
        .with(json!({"resulting_cents": -100}));
}

// confirm_order

#[test]
fn a_confirmation_tells_every_line_and_the_total() {
    draft()
        .and([added("lantern", 2, 250), added("candle", 3, 99), added("lantern", 1, 250)])
        .when(confirm())
        .then_events([confirmed(&[("candle", 3, 99), ("lantern", 3, 250)])])
        .then_state(status_and_total(OrderStatus::Confirmed, 1_047));
}

#[test]
fn an_order_without_items_is_not_confirmed() {
    draft().when(confirm()).then_refused("no_items");
    draft()
        .and([added("candle", 1, 99), removed("candle", 1, 99)])
        .when(confirm())
        .then_refused("no_items");
}
