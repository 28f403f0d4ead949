//! What the wire may say: every command by its name, and everything wrong with it at once.

use domain::{
    command::read,
    customer::{CustomerCommand, RegisterCustomer},
};
use serde_json::json;

use crate::shared_wire::{Wire, pointers};

const WIRE: Wire = Wire {
    specs: CustomerCommand::SPECS,
    examples: &[
        ("customer.register_customer", r#"{"name": "Ada Lovelace", "email": "ada@example.com"}"#),
        ("customer.change_customer", "{}"),
    ],
    read: |name, data| {
        let stated = CustomerCommand::read(name, data)?;
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
fn an_email_address_has_something_on_both_sides_of_one_at_sign_and_no_blanks() {
    let register = |email: &str| {
        let data = json!({"name": "Ada", "email": email});
        pointers((WIRE.read)("customer.register_customer", data))
    };
    for wrong in ["ada", "@example.com", "ada@", "ada@b@c", "a da@example.com", "ada@\u{a0}b"] {
        assert_eq!(register(wrong), ["/email"], "{wrong}");
    }
    for right in ["a@b", "ada.lovelace+books@mail.example.com", "käthe@exämple.de"] {
        assert!(register(right).is_empty(), "{right}");
    }
}

#[test]
fn names_and_addresses_are_trimmed() {
    let data = json!({"name": " Ada ", "email": " ada@example.com\n"});
    let command = read::<RegisterCustomer>(data).unwrap().command;
    assert_eq!((command.name.as_str(), command.email.as_str()), ("Ada", "ada@example.com"));
    let written = serde_json::to_value(&command).unwrap();
    assert_eq!(serde_json::from_value::<RegisterCustomer>(written).unwrap(), command);
}
