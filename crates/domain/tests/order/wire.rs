//! What the wire may say: every command by its name, and everything wrong with it at once.

use domain::{
    command::{Fields, Shape, read},
    order::{CreateOrder, MAX_LINES, OrderCommand, PlaceOrder, ShipOrder},
    values::{CustomerId, OrderId},
};
use factline_core::StreamId;
use serde_json::{Value, json};

use crate::shared_wire::{Wire, parse, pointers};

const ADA: &str = "018f3c1e-7b1a-7000-8000-0000000000c1";

const WIRE: Wire = Wire {
    specs: OrderCommand::SPECS,
    examples: &[
        (
            "order.create_order",
            r#"{"customer_id": "018f3c1e-7b1a-7000-8000-0000000000c1", "shipping_address": "Oslo"}"#,
        ),
        (
            "order.place_order",
            r#"{"customer_id": "018f3c1e-7b1a-7000-8000-0000000000c1", "shipping_address": "Oslo",
                "items": [{"sku": "lantern", "quantity": 2}]}"#,
        ),
        ("order.add_order_item", r#"{"sku": "lantern", "quantity": 2}"#),
        ("order.remove_order_item", r#"{"sku": "lantern"}"#),
        ("order.confirm_order", "{}"),
        ("order.allocate_order", "{}"),
        ("order.pay_order", r#"{"payment_id": "pay-1", "amount_cents": 500, "method": "card"}"#),
        ("order.fail_payment", r#"{"payment_id": "pay-1", "reason": "declined"}"#),
        ("order.ship_order", r#"{"tracking_number": "RM1", "carrier": "Royal Mail"}"#),
        ("order.deliver_order", "{}"),
        ("order.cancel_order", r#"{"reason": "ordered twice"}"#),
        (
            "order.correct_amount",
            r#"{"delta_cents": -30, "reason": "voucher forgotten",
                "corrects_event_id": "018f3c1e-7b1a-7000-8000-0000000000e1"}"#,
        ),
    ],
    read: |name, data| {
        let stated = OrderCommand::read(name, data)?;
        Ok((stated.command.name(), stated.occurred_at))
    },
};

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
fn h17_every_id_date_and_choice_is_refused_in_another_spelling() {
    WIRE.each_field(|read, field, shape| {
        let (right, wrong) = match shape {
            Shape::Uuid => (
                vec![ADA.to_owned(), ADA.to_uppercase()],
                vec!["", "x", &ADA[1..], "018f3c1e7b1a700080000000000000c1", NIL],
            ),
            Shape::Date => (
                vec!["2026-01-31".to_owned(), "2024-02-29".to_owned()],
                vec!["", "2026-1-31", "2026-02-29", "31.01.2026", "2026-01-31T00:00:00Z"],
            ),
            Shape::Choice { words } => {
                (words.iter().map(|word| (*word).to_owned()).collect(), vec!["", "cash", "Card"])
            }
            Shape::Integer { .. }
            | Shape::Text { .. }
            | Shape::Timestamp
            | Shape::List { .. }
            | Shape::Object { .. } => return,
        };
        right.iter().for_each(|right| assert!(read(json!(right)), "{field} = {right}"));
        wrong.iter().for_each(|wrong| assert!(!read(json!(wrong)), "{field} = {wrong}"));
    });
}

const NIL: &str = "00000000-0000-0000-0000-000000000000";

fn place(items: Value) -> Vec<String> {
    let mut data = parse(WIRE.examples[1].1);
    data["items"] = items;
    pointers((WIRE.read)("order.place_order", data))
}

#[test]
fn everything_that_is_wrong_with_the_items_is_told_with_its_place() {
    let items = json!([
        {"sku": "lantern", "quantity": 1},
        {"sku": "", "quantity": 0},
        {"quantity": 1},
        {"sku": "candle", "quantity": 1, "unit_price_cents": 1},
        "candle",
    ]);
    assert_eq!(
        place(items),
        [
            "/items/1/sku",
            "/items/1/quantity",
            "/items/2/sku",
            "/items/3/unit_price_cents", // the price is the catalogue's
            "/items/4",
        ]
    );
}

#[test]
fn at_least_one_item_is_placed_and_no_more_than_an_order_has_lines() {
    let items = |count: usize| json!(vec![json!({"sku": "lantern", "quantity": 1}); count]);
    assert!(place(items(1)).is_empty());
    assert!(place(items(MAX_LINES)).is_empty());
    assert_eq!(place(items(0)), ["/items"]);
    assert_eq!(place(items(MAX_LINES + 1)), ["/items"]);
}

#[test]
fn what_is_wrong_beside_and_inside_the_items_is_told_together() {
    let data = json!({"customer_id": "ada", "items": [{"sku": "x"}], "colour": "red"});
    let told = read::<PlaceOrder>(data).unwrap_err().0.into_iter();
    let told: Vec<_> = told.map(|error| (error.pointer, error.detail)).collect();
    let expected = [
        ("/customer_id", "must be a UUID such as 018f3c1e-7b1a-7000-8000-000000000001"),
        ("/items/0/quantity", "must be given"),
        ("/shipping_address", "must be given"),
        ("/colour", "is not a field of this command"),
    ];
    assert_eq!(told, expected.map(|(pointer, detail)| (pointer.to_owned(), detail.to_owned())));
}

#[test]
fn an_item_to_place_is_described_like_the_command_that_adds_one() {
    let spec = |name: &str| OrderCommand::SPECS.iter().find(|spec| spec.name == name).unwrap();
    let items = spec("order.place_order").fields.iter().find(|field| field.name == "items");
    let Shape::List { of: Shape::Object { fields }, min_items, max_items } = items.unwrap().shape
    else {
        panic!("a list of objects");
    };
    assert_eq!((min_items, max_items), (1, MAX_LINES));
    assert_eq!(*fields, spec("order.add_order_item").fields);
}

#[test]
fn an_order_and_its_customer_have_one_id_however_it_is_written() {
    let mut fields = Fields::of(json!({"order_id": ADA.to_uppercase()})).unwrap();
    let order_id: OrderId = fields.take("order_id").unwrap();
    assert_eq!(StreamId::from(order_id).as_str(), ADA);
    let customer_id = CustomerId::try_from(ADA.to_uppercase()).unwrap();
    assert_eq!(StreamId::from(customer_id).as_str(), ADA);
    assert_eq!(String::from(customer_id), ADA);
}

#[test]
fn a_command_that_is_written_down_reads_back() {
    let place = read::<PlaceOrder>(parse(WIRE.examples[1].1)).unwrap().command;
    let written = serde_json::to_value(&place).unwrap();
    assert_eq!(serde_json::from_value::<PlaceOrder>(written.clone()).unwrap(), place);
    assert_eq!(read::<PlaceOrder>(written).unwrap().command, place);

    let data =
        json!({"tracking_number": "RM1", "carrier": "x", "estimated_delivery_on": "2026-01-31"});
    let ship = read::<ShipOrder>(data.clone()).unwrap().command;
    assert_eq!(serde_json::to_value(&ship).unwrap(), data);

    let empty = json!({"customer_id": ADA, "shipping_address": "Oslo", "items": []});
    assert!(serde_json::from_value::<PlaceOrder>(empty).is_err());
    let nil = json!({"customer_id": NIL, "shipping_address": "Oslo"});
    assert!(serde_json::from_value::<CreateOrder>(nil).is_err());
}
