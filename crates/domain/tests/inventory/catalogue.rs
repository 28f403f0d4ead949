//! The catalogue: adding, changing and ending items.

use domain::inventory::{
    AddItem, DiscontinueItem, InventoryCommand, ItemAdded, ItemDiscontinued, ItemRenamed,
    PriceChanged, ReorderPointChanged,
};

use crate::words::*;

// add_item

#[test]
fn an_item_is_added_with_its_opening_stock_and_the_default_reorder_point() {
    nothing_known()
        .when(add())
        .then_events([added(10, 250)])
        .then_state(on_hand_and_available(10, 10));
}

#[test]
fn an_item_is_added_with_the_reorder_point_and_currency_that_were_given() {
    let reorder_point = Some(20.try_into().unwrap());
    let currency = Some("GBP".try_into().unwrap());
    let expected = ItemAdded {
        name: "Lantern".to_owned(),
        quantity: 10,
        unit_price_cents: 250,
        reorder_point: 20,
        currency: "GBP".to_owned(),
    };
    let command = AddItem { reorder_point, currency, ..add() };
    nothing_known().when(command).then_events([expected.into()]);
}

#[test]
fn an_item_may_be_added_without_stock_and_without_a_price() {
    let zero = AddItem {
        quantity: 0.try_into().unwrap(),
        unit_price_cents: 0.try_into().unwrap(),
        ..add()
    };
    nothing_known().when(zero).then_events([added(0, 0)]);
}

#[test]
fn an_item_that_exists_is_not_added_again_not_even_when_it_is_discontinued() {
    lantern().when(add()).then_refused("item_exists");
    lantern().and([discontinued(10)]).when(add()).then_refused("item_exists");
}

// stock_item

#[test]
fn stocking_a_new_item_adds_it() {
    nothing_known().when(stock(10, 250)).then_events([added(10, 250)]);
}

#[test]
fn stocking_a_known_item_receives_it_at_the_given_price_and_keeps_its_name() {
    lantern()
        .and([ItemRenamed { name: "Lamp".into(), previous_name: "Lantern".into() }.into()])
        .when(stock(3, 275))
        .then_events([received(3, Some(275))])
        .then_state(|item| assert_eq!(item.known().unwrap().name, "Lamp"));
}

#[test]
fn stocking_a_discontinued_item_is_refused() {
    lantern().and([discontinued(10)]).when(stock(1, 250)).then_refused("item_discontinued");
}

// change_price, change_reorder_point, rename_item, discontinue_item

#[test]
fn a_price_change_tells_the_new_and_the_old_price() {
    let changed = PriceChanged { unit_price_cents: 300, previous_unit_price_cents: 250 };
    lantern().when(price(300)).then_events([changed.into()]).when(price(300)).then_nothing();
}

#[test]
fn a_reorder_point_change_tells_the_new_and_the_old_level() {
    let changed = ReorderPointChanged { reorder_point: 8, previous_reorder_point: 5 };
    lantern().when(reorder_at(8)).then_events([changed.into()]).when(reorder_at(8)).then_nothing();
}

#[test]
fn a_renaming_tells_the_new_and_the_old_name() {
    let renamed = ItemRenamed { name: "Lamp".into(), previous_name: "Lantern".into() };
    lantern()
        .when(rename("Lamp"))
        .then_events([renamed.into()])
        .when(rename(" Lamp "))
        .then_nothing();
}

#[test]
fn an_item_is_discontinued_once_and_its_stock_is_told() {
    let reason = Some("no demand".to_owned());
    let expected = ItemDiscontinued { on_hand: 10, reason };
    lantern()
        .when(DiscontinueItem { reason: Some("no demand".try_into().unwrap()) })
        .then_events([expected.into()])
        .when(discontinue())
        .then_nothing();
}

#[test]
fn an_unknown_item_is_not_changed() {
    nothing_known().when(price(1)).then_refused("unknown_item");
    nothing_known().when(reorder_at(1)).then_refused("unknown_item");
    nothing_known().when(rename("Lamp")).then_refused("unknown_item");
    nothing_known().when(discontinue()).then_refused("unknown_item");
}

#[test]
fn a_command_by_name_is_decided_like_the_command_itself() {
    let command = InventoryCommand::from(sell(4));
    assert_eq!(command.name(), "inventory.sell_item");
    lantern().when(command).then_events([sold(4, 250)]);
}
