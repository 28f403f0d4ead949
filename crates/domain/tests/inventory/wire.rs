//! What the wire may say: every command by its name, and everything wrong with it at once.

use domain::command::{Command, FieldError, Fields, Stated, read};
use domain::inventory::{AddItem, InventoryCommand, ReserveStock, SellItem};
use factline_core::StreamId;
use serde_json::{Value, json};

use crate::shared_wire::Wire;

/// One valid example of every command.
const EXAMPLES: &[(&str, &str)] = &[
    ("inventory.add_item", r#"{"name": "Lantern", "quantity": 0, "unit_price_cents": 250}"#),
    ("inventory.receive_stock", r#"{"quantity": 5}"#),
    ("inventory.stock_item", r#"{"name": "Lantern", "quantity": 1, "unit_price_cents": 250}"#),
    ("inventory.sell_item", r#"{"quantity": 2, "unit_price_cents": 0, "country": "France"}"#),
    ("inventory.return_item", r#"{"quantity": 1, "reason": "broken"}"#),
    ("inventory.adjust_stock", r#"{"delta": -3, "reason": "counted"}"#),
    ("inventory.reserve_stock", r#"{"reservation_id": "r1", "quantity": 2}"#),
    ("inventory.release_reservation", r#"{"reservation_id": "r1"}"#),
    ("inventory.ship_reservation", r#"{"reservation_id": "r1"}"#),
    ("inventory.change_price", r#"{"unit_price_cents": 300}"#),
    ("inventory.change_reorder_point", r#"{"reorder_point": 8}"#),
    ("inventory.rename_item", r#"{"name": "Lamp"}"#),
    ("inventory.discontinue_item", "{}"),
];

const WIRE: Wire = Wire {
    specs: InventoryCommand::SPECS,
    examples: EXAMPLES,
    read: |name, data| {
        let stated = InventoryCommand::read(name, data)?;
        Ok((stated.command.name(), stated.occurred_at))
    },
};

fn errors<C: Command + std::fmt::Debug>(data: Value) -> Vec<(String, String)> {
    let told = |error: FieldError| (error.pointer, error.detail);
    read::<C>(data).unwrap_err().0.into_iter().map(told).collect()
}

fn pointers<C: Command + std::fmt::Debug>(data: Value) -> Vec<String> {
    errors::<C>(data).into_iter().map(|(pointer, _)| pointer).collect()
}

#[test]
fn every_command_is_read_by_its_name() {
    WIRE.every_command_is_read_by_its_name();
}

#[test]
fn every_command_may_say_when_it_happened() {
    WIRE.every_command_may_say_when_it_happened();
}

#[test]
fn every_command_refuses_a_field_that_it_does_not_know() {
    WIRE.every_command_refuses_a_field_that_it_does_not_know();
}

#[test]
fn every_command_refuses_a_missing_a_null_and_a_wrong_value_of_each_field() {
    WIRE.every_command_refuses_a_missing_a_null_and_a_wrong_value_of_each_field();
}

#[test]
fn every_number_is_refused_just_outside_its_published_limits_and_taken_on_them() {
    WIRE.every_number_is_refused_just_outside_its_published_limits_and_taken_on_them();
}

#[test]
fn h16_every_text_is_refused_that_does_not_look_like_what_it_holds() {
    WIRE.every_text_is_refused_that_does_not_look_like_what_it_holds();
}

#[test]
fn every_text_is_refused_when_blank_or_longer_than_published() {
    WIRE.every_text_is_refused_when_blank_or_longer_than_published();
}

#[test]
fn a_command_of_another_name_is_unknown() {
    WIRE.a_command_of_another_name_is_unknown();
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let data = json!({"quantity": 0, "country": 7, "colour": "red", "occurred_at": "yesterday"});
    let expected = [
        ("/quantity", "must be a whole number from 1 to 1000000000"),
        (
            "/country",
            "must be a text of 1 to 60 characters without control characters, bidirectional ones included, and with at most 30 combining marks in a row",
        ),
        ("/occurred_at", "must be an RFC 3339 time such as 2026-01-31T08:30:00Z"),
        ("/colour", "is not a field of this command"),
    ];
    let told = errors::<SellItem>(data);
    assert_eq!(told, expected.map(|(p, d)| (p.to_owned(), d.to_owned())));
    assert_eq!(pointers::<ReserveStock>(json!({})), ["/reservation_id", "/quantity"]);
}

#[test]
fn what_is_not_an_object_is_refused_as_a_whole() {
    for data in [json!(null), json!([]), json!("x"), json!(1)] {
        assert_eq!(pointers::<SellItem>(data), [""]);
    }
}

#[test]
fn a_currency_is_three_capital_letters() {
    for wrong in ["gbp", "GB", "GBPX", "G1P", "ÄÖ"] {
        let data = json!({"name": "x", "quantity": 1, "unit_price_cents": 1, "currency": wrong});
        assert_eq!(pointers::<AddItem>(data), ["/currency"], "{wrong}");
    }
}

#[test]
fn the_stream_of_a_command_is_read_beside_it_and_its_errors_are_told_together() {
    let data = json!({"sku": "85123A", "name": " Lantern ", "quantity": 3, "unit_price_cents": 1});
    let mut fields = Fields::of(data).unwrap();
    let sku: Option<StreamId> = fields.take("sku");
    let stated: Stated<AddItem> = fields.into_command().unwrap();
    assert_eq!(sku.unwrap().as_str(), "85123A");
    assert_eq!(stated.command.name.as_str(), "Lantern");

    let mut fields = Fields::of(json!({"sku": ""})).unwrap();
    let _: Option<StreamId> = fields.take("sku");
    let told = fields.into_command::<AddItem>().unwrap_err();
    let pointers: Vec<_> = told.0.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/sku", "/name", "/quantity", "/unit_price_cents"]);
}

#[test]
fn a_command_that_is_written_down_reads_back() {
    let data = json!({"quantity": 2, "unit_price_cents": 100, "country": "France"});
    let command = read::<SellItem>(data).unwrap().command;
    let written = serde_json::to_value(&command).unwrap();
    assert_eq!(serde_json::from_value::<SellItem>(written.clone()).unwrap(), command);
    assert_eq!(read::<SellItem>(written).unwrap().command, command);
}
